// The endpoint: its address and key, snippets to paste, how much it is used, the model, and the end.

import { call, projectPath } from "./api.js";
import { Deletion } from "./deletion.js";
import { CopyButton, Icon, Problem, html, useConfirm, useRef, useState } from "./elements.js";
import { forgetKey, keepKey, keptKey } from "./kept-key.js";
import { snippets } from "./snippets.js";
import { Usage } from "./usage.js";

export function EndpointPart({ project, again, account }) {
  return html`<section class="page endpoint">
    ${project.endpoint
      ? html`<${Address} project=${project} /><${Snippets} project=${project} /><${Usage} project=${project} /><${Model} project=${project} />`
      : html`<div class="card empty-part"><${Icon} name="key" /><h2>No endpoint yet</h2><p>A training makes one, with an address of its own.</p>
          <a class="button primary" href=${`#/${project.project}`}>Add examples and train</a></div>`}
    <${Settings} project=${project} again=${again} account=${account} />
    <${Deletion} project=${project} />
  </section>`;
}

function Address({ project }) {
  const [key, setKey] = useState(keptKey(project.project));
  const [error, setError] = useState(null);
  const [ask, dialog] = useConfirm();
  const rotate = async () => {
    const text = "The key in use now stops working within a minute. Whatever calls this endpoint needs the new one.";
    if (!(await ask({ title: "Make a new key?", action: "Make a new key", text }))) return;
    try {
      const made = await call("POST", projectPath(project.project, "key"));
      keepKey(project.project, made.key);
      setKey(made.key);
      setError(null);
    } catch (problem) {
      setError(problem);
    }
  };
  const dismiss = () => {
    forgetKey(project.project);
    setKey("");
  };
  const isSigned = project.settings.endpoint_auth === "iam";
  return html`<section class="card" aria-label="Address and key">
    <h2>Address</h2>
    <div class="copied"><code>${project.endpoint}</code><${CopyButton} text=${project.endpoint} /></div>
    <h3>Key</h3>
    ${isSigned
      ? html`<p>Callers sign with AWS credentials instead of sending a key.</p>`
      : key
        ? html`<div class="note warn"><p><strong>Your key, shown this once.</strong> Keep it where secrets are kept; only its hash is stored here.</p>
            <div class="copied"><code>${key}</code><${CopyButton} text=${key} label="Copy key" /></div>
            <div class="actions"><button class="small" onClick=${dismiss}>I have saved it</button></div></div>`
        : html`<p class="dim">The key was shown when it was made and cannot be shown again.</p>
            <button class="quiet small" onClick=${rotate}><${Icon} name="key" />Make a new key</button>`}
    <${Problem} error=${error} /> ${dialog}
  </section>`;
}

function Snippets({ project }) {
  const found = snippets(project);
  const [chosen, setChosen] = useState("curl");
  const place = useRef(null);
  const step = (event) => {
    const names = Object.keys(found);
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = names[(names.indexOf(chosen) + move + names.length) % names.length];
    setChosen(next);
    setTimeout(() => place.current.querySelector(`[data-name="${next}"]`).focus());
  };
  return html`<section class="card" aria-label="How to call it">
    <h2>Call it</h2>
    <div class="tabs"><div role="tablist" aria-label="Language" ref=${place} onKeyDown=${step}>
      ${Object.keys(found).map((name) => html`<button role="tab" key=${name} data-name=${name} id=${`tab-${name}`} aria-controls="snippet" aria-selected=${chosen === name}
        tabindex=${chosen === name ? 0 : -1} onClick=${() => setChosen(name)}>${name}</button>`)}
      </div><span class="grow"></span><${CopyButton} key=${chosen} text=${found[chosen]} />
    </div>
    <pre id="snippet" role="tabpanel" aria-labelledby=${`tab-${chosen}`} tabindex="0"><code>${found[chosen]}</code></pre>
    <p class="dim">Set <code>EXEMPLAR_KEY</code> to the endpoint's key. Every answer names the version that gave it.</p>
  </section>`;
}

function Model({ project }) {
  const [error, setError] = useState(null);
  const download = async () => {
    try {
      const { url } = await call("GET", projectPath(project.project, "bundle"));
      location.assign(url);
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<section class="card" aria-label="Model">
    <h2>Take the model with you</h2>
    <p class="dim">A zip with an ONNX graph, its preprocessing and its classes. It runs anywhere, without Python's pickle and without this system.</p>
    <button class="quiet" onClick=${download}>Download <code>${project.model_version}</code></button>
    <${Problem} error=${error} />
  </section>`;
}

function Settings({ project, again, account }) {
  const [error, setError] = useState(null);
  const set = async (change) => {
    try {
      await call("PATCH", projectPath(project.project), change);
      setError(null);
    } catch (problem) {
      setError(problem);
    }
    again();
  };
  const { settings } = project;
  const links = account?.links || {};
  const job = project.jobs[0];
  return html`<details class="card advanced"><summary>Advanced</summary>
    <label class="check"><input type="checkbox" checked=${settings.approval} onChange=${(event) => set({ approval: event.target.checked })} />
      Ask me before a better model is released</label>
    <label class="check"><input type="checkbox" checked=${Boolean(settings.log_requests)} onChange=${(event) => set({ log_requests: event.target.checked })} />
      Keep requests for a while, to learn from them and to try new models on them</label>
    ${project.kind === "image" && html`<label class="check"><input type="checkbox" checked=${settings.fetch_urls} onChange=${(event) => set({ fetch_urls: event.target.checked })} />
      Answer about pictures at public https addresses</label>`}
    <label class="field">Train again by itself after so many new examples (0: never)
      <input type="number" min="0" max="100000" value=${settings.retrain.after_new_examples || 0}
        onChange=${(event) => set({ retrain: { ...settings.retrain, after_new_examples: event.target.valueAsNumber || 0 } })} /></label>
    <label class="field">Requests a minute that one key may make
      <input type="number" min="1" max="100000" placeholder="the system's limit" value=${settings.requests_per_minute ?? ""}
        onChange=${(event) => set({ requests_per_minute: event.target.value ? event.target.valueAsNumber : null })} /></label>
    ${job && html`<p class="links">${links.prefect && html`<a href=${links.prefect} target="_blank" rel="noopener noreferrer">Prefect: runs and schedules</a>`}
      ${links.mlflow && html`<a href=${links.mlflow} target="_blank" rel="noopener noreferrer">MLflow: experiments and registry</a>`}</p>`}
    <${Problem} error=${error} />
  </details>`;
}
