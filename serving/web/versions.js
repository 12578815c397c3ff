// Every version that was live, with who, when and why; and going back to one.

import { call, projectPath } from "./api.js";
import { Icon, Problem, html, percent, useConfirm, useState, when } from "./elements.js";

export function Versions({ project, again }) {
  const [ask, dialog] = useConfirm();
  const [error, setError] = useState(null);
  const rollBack = async (version) => {
    const text = "It answers again within a second. Nothing is lost: you can come back the same way.";
    if (!(await ask({ title: "Let this version answer again?", action: "Roll back", text }))) return;
    try {
      await call("POST", projectPath(project.project, "rollback"), { model_version: version.model_version });
      setError(null);
    } catch (problem) {
      setError(problem);
    }
    again();
  };
  if (!project.versions.length) return null;
  return html`<section class="card" aria-label="Versions">
    <h2>Versions</h2>
    <${Problem} error=${error} />
    <ol class="versions">${project.versions.map((one) => {
      const isLive = one.model_version === project.model_version;
      return html`<li key=${one.model_version} class=${isLive ? "live" : ""}>
        <div><code>${one.model_version}</code> ${isLive && html`<span class="chip good">live</span>`}
          <p>${percent(one.accuracy, 1)} right; ${one.reason}</p><p class="dim">${when(one.promoted_at)}, by ${one.promoted_by}</p></div>
        ${!isLive && html`<button class="quiet small" onClick=${() => rollBack(one)}><${Icon} name="turn" />Roll back to this</button>`}
      </li>`;
    })}</ol>
    <details class="finding"><summary>What was live when</summary>
      <ol class="history">${project.releases.map((one) => html`<li key=${one.at + one.event}><span class="dim">${when(one.at)}</span> ${one.event}: <code>${one.model_version}</code>, ${one.reason} <span class="dim">(${one.by})</span></li>`)}</ol></details>
    ${dialog}
  </section>`;
}
