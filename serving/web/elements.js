// What the parts of the page are made of: markup without a build step, and a few controls.

import { html, useCallback, useEffect, useRef, useState } from "./vendor/htm-preact-3.1.1.js";

export { html, render, useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "./vendor/htm-preact-3.1.1.js";

const whole = new Intl.NumberFormat("en");
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

export const number = (value) => whole.format(value);
export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
export const when = (seconds) => (seconds ? day.format(new Date(seconds * 1000)) : "");
export const many = (count, one, several = `${one}s`) => `${number(count)} ${count === 1 ? one : several}`;

export function bytes(size) {
  if (size < 1e6) return `${Math.max(1, Math.round(size / 1e3))} kB`;
  return size < 1e9 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e9).toFixed(1)} GB`;
}

export function duration(seconds) {
  if (seconds < 50) return `${Math.max(5, Math.round(seconds / 5) * 5)} seconds`;
  if (seconds < 3_000) return many(Math.max(1, Math.round(seconds / 60)), "minute");
  return `${(seconds / 3_600).toFixed(1)} hours`;
}

export function money(dollars) {
  if (dollars === null || dollars === undefined) return "free on this computer";
  return dollars < 0.01 ? "less than a cent" : `about $${dollars.toFixed(2)}`;
}

// A class keeps its colour wherever it appears.
const HUES = [244, 28, 152, 338, 200, 48, 280, 100, 4, 178, 312, 72];
export const hue = (index) => HUES[((index % HUES.length) + HUES.length) % HUES.length];

export function Problem({ error, onRetry, children }) {
  if (!error) return null;
  return html`<div class="note bad" role="alert">
    <p><strong>${sentence(error.message)}</strong></p>
    ${error.details?.length
      ? html`<ul>${error.details.slice(0, 12).map((line) => html`<li>${line}</li>`)}
          ${error.details.length > 12 && html`<li>and ${error.details.length - 12} more</li>`}</ul>`
      : null}
    ${error.fix && html`<p>${sentence(error.fix)}</p>`}
    ${onRetry && html`<button class="quiet" onClick=${onRetry}>Try again</button>`} ${children}
  </div>`;
}

export function sentence(text) {
  const trimmed = String(text || "").trim().replaceAll(" %", "\u00a0%");
  if (!trimmed) return "";
  const first = trimmed[0].toUpperCase() + trimmed.slice(1);
  return /[.!?…:]$/.test(first) ? first : `${first}.`;
}

export function Dialog({ title, onClose, children, isWide }) {
  const place = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    const dialog = place.current;
    dialog.showModal();
    return () => {
      dialog.close(); // until then nothing behind it can have the focus
      before?.focus?.();
    };
  }, []);
  return html`<dialog
    ref=${place}
    class=${isWide ? "wide" : ""}
    aria-label=${title}
    onCancel=${(event) => {
      event.preventDefault();
      onClose();
    }}
    onClick=${(event) => event.target === place.current && onClose()}
  >
    <div class="dialog">
      <header><h2>${title}</h2>
        <button class="icon" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

// Asks before something cannot be undone; resolves to whether it was confirmed.
export function useConfirm() {
  const [asked, setAsked] = useState(null);
  const ask = useCallback((question) => new Promise((resolve) => setAsked({ ...question, resolve })), []);
  const answer = (is) => {
    asked.resolve(is);
    setAsked(null);
  };
  const dialog = asked && html`<${Confirm} ...${asked} answer=${answer} />`;
  return [ask, dialog];
}

function Confirm({ title, text, action, typed, answer }) {
  const [given, setGiven] = useState("");
  const isReady = !typed || given === typed;
  return html`<${Dialog} title=${title} onClose=${() => answer(false)}>
    <form onSubmit=${(event) => {
      event.preventDefault();
      if (isReady) answer(true);
    }}>
      <p>${text}</p>
      ${typed && html`<label class="field"><span>Type <code>${typed}</code> to confirm</span>
        <input value=${given} onInput=${(e) => setGiven(e.target.value)} autocomplete="off" spellcheck=${false} /></label>`}
      <div class="actions">
        <button type="button" class="quiet" onClick=${() => answer(false)}>Keep it</button>
        <button class="danger" disabled=${!isReady}>${action}</button>
      </div>
    </form>
  <//>`;
}

export function CopyButton({ text, label = "Copy" }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text).catch(() => selectText(text));
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return html`<button class="quiet small" onClick=${copy} aria-live="polite">
    <${Icon} name=${isDone ? "tick" : "copy"} />${isDone ? "Copied" : label}</button>`;
}

function selectText(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// `entries`: [{name, value 0..1, index, isAnswer}]
export function Bars({ entries, label }) {
  return html`<ul class="bars" aria-label=${label}>
    ${entries.map(({ name, value, index, isAnswer, note }) => html`<li key=${name} class=${isAnswer ? "answer" : ""}>
      <span class="name" title=${name}>${name}</span>
      <span class="track"><span class="fill" style=${{ transform: `scaleX(${value})`, "--hue": hue(index) }}></span></span>
      <span class="value">${note || percent(value)}</span>
    </li>`)}
  </ul>`;
}

const PATHS = {
  close: "M5 5l10 10M15 5L5 15",
  tick: "M4 10.5l4 4 8-9",
  cross: "M5 5l10 10M15 5L5 15",
  copy: "M7 7V4h9v9h-3M4 7h9v9H4z",
  plus: "M10 4v12M4 10h12",
  bin: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  camera: "M3 7h3l1.5-2h5L14 7h3v9H3zM10 14a2.7 2.7 0 100-5.4 2.7 2.7 0 000 5.4",
  folder: "M3 5h5l2 2h7v9H3z",
  files: "M10 13V4M6.5 7.5L10 4l3.5 3.5M4 13v3h12v-3",
  back: "M12 4l-6 6 6 6",
  pen: "M4 16l1-4 8-8 3 3-8 8z",
  more: "M8 4l6 6-6 6",
  spark: "M10 3l1.7 5.3L17 10l-5.3 1.7L10 17l-1.7-5.3L3 10l5.3-1.7z",
  text: "M4 5h12M10 5v11M7 16h6",
  picture: "M3 4h14v12H3zM3 13l4-4 4 4 2-2 4 4",
  turn: "M4 10a6 6 0 106-6H5M7.5 1.5L5 4l2.5 2.5",
  key: "M8 12a3.5 3.5 0 11-3.5-3.5A3.5 3.5 0 018 12zM7 9.5L15 4M12 6l2 2",
  warn: "M10 3l8 14H2zM10 8v4M10 14.5v.1",
  alarm: "M10 4a6 6 0 100 12 6 6 0 000-12M10 7v3.5l2.5 1.5",
};

export function Icon({ name }) {
  return html`<svg class="sign" viewBox="0 0 20 20" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

// Calls `work` now and every `ms` (0: once) while the page is seen; what it throws comes second.
export function usePolled(work, ms, inputs) {
  const [value, setValue] = useState(null);
  const [error, setError] = useState(null);
  const again = useRef(() => {});
  useEffect(() => {
    let isOver = false;
    let timer = 0;
    const controller = new AbortController();
    const step = async () => {
      clearTimeout(timer);
      try {
        const found = await work(controller.signal);
        if (isOver) return;
        setValue(found);
        setError(null);
      } catch (problem) {
        if (isOver || problem.name === "AbortError") return;
        setError(problem);
      }
      clearTimeout(timer);
      const wait = typeof ms === "function" ? ms() : ms;
      if (!isOver && wait && !document.hidden) timer = setTimeout(step, wait);
    };
    again.current = step;
    const seen = () => !document.hidden && step();
    document.addEventListener("visibilitychange", seen);
    step();
    return () => {
      isOver = true;
      controller.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, inputs);
  return [value, error, useCallback(() => again.current(), [])];
}
