// What a training can be told: recipe, model, time, least examples, variants.

import { html, useRef } from "./elements.js";

const MODELS = {
  image: ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet18", "resnet50", "convnext_tiny", "cnn"],
  text: ["minilm_l6"],
};
const RECIPES = [["fast", "Fast"], ["balanced", "Balanced"], ["accurate", "Accurate"], ["scratch", "From scratch"]];

export function Advanced({ project, options, setOptions }) {
  const set = (name, value) => {
    const changed = { ...options };
    if (value === "" || Number.isNaN(value)) delete changed[name];
    else changed[name] = value;
    setOptions(changed);
  };
  const least = project.kind === "text" ? project.limits.min_rows_per_class : project.limits.min_per_class;
  const timer = useRef(0);
  const later = (name, value) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(name, value), 400);
  };
  return html`<details class="advanced"><summary>Advanced</summary>
    <label class="field">Recipe
      <select value=${options.recipe || "balanced"} onChange=${(event) => set("recipe", event.target.value)}>
        ${RECIPES.map(([id, title]) => html`<option value=${id}>${title}</option>`)}
      </select></label>
    <label class="field">Model
      <input list="models" value=${options.model || ""} placeholder=${MODELS[project.kind][0]} spellcheck=${false}
        onInput=${(event) => later("model", event.target.value.trim())} />
      <datalist id="models">${MODELS[project.kind].map((name) => html`<option value=${name} />`)}</datalist>
      <span class="dim">or one of the Hugging Face hub: hf:owner/name</span></label>
    <label class="field">Time limit in minutes
      <input type="number" min="1" max="10080" value=${options.budget_seconds ? options.budget_seconds / 60 : ""} placeholder="60"
        onInput=${(event) => later("budget_seconds", Math.round(60 * event.target.valueAsNumber))} /></label>
    <label class="field">Least examples per class
      <input type="number" min=${project.limits.fewest_per_class} max="10000" value=${options.min_per_class || ""} placeholder=${least}
        onInput=${(event) => later("min_per_class", event.target.valueAsNumber)} /></label>
    <label class="field">Variants to try
      <input type="number" min="0" max="200" value=${options.tune || ""} placeholder="0" onInput=${(event) => later("tune", event.target.valueAsNumber)} />
      <span class="dim">more take longer and may find a better one</span></label>
  </details>`;
}
