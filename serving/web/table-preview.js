// A table before it is sent: its first rows, and which columns hold texts and labels.

import { Icon, bytes, html, many, number, useState } from "./elements.js";
import { classOf } from "./drops.js";

const PREVIEW_BYTES = 4_000_000; // the beginning is enough to choose columns by
const ROWS = 5;
const TEXTS = /^(text|sentence|message|content|question|review|body|comment|utterance|tweet|sms|description)$/i;
const LABELS = /^(label|class|category|target|sentiment|topic|intent|tag|y|spam)$/i;

let nextId = 1;

// The parser is loaded when the first table comes.
function parser() {
  if (globalThis.Papa) return Promise.resolve(globalThis.Papa);
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("./vendor/papaparse-5.7.1.min.js", import.meta.url).href;
    script.onload = () => resolve(globalThis.Papa);
    script.onerror = () => reject(new Error("the table reader could not be loaded"));
    document.head.append(script);
  });
}

export async function readTable(file) {
  const table = { id: nextId++, file, isLines: /\.txt$/i.test(file.name), isWhole: file.size <= PREVIEW_BYTES };
  const text = await file.slice(0, PREVIEW_BYTES).text();
  if (table.isLines) {
    const rows = text.split(/\r?\n/).filter((line) => line.trim());
    return { ...table, rows: rows.map((row) => [row]), columns: ["text"], className: classOf(file.name.replace(/\.txt$/i, "")) };
  }
  const Papa = await parser();
  const { data } = Papa.parse(text.replace(/^\ufeff/, ""), { skipEmptyLines: "greedy", delimiter: /\.tsv$/i.test(file.name) ? "\t" : "" });
  if (!table.isWhole) data.pop(); // likely cut off
  const [head = [], ...rest] = data;
  const hasHeader = head.some((name) => TEXTS.test(name.trim()) || LABELS.test(name.trim())) || looksLikeNames(head, rest);
  const rows = hasHeader ? rest : data;
  const columns = hasHeader ? head.map((name) => name.trim()) : head.map((_, i) => String(i + 1));
  return { ...table, rows, columns, hasHeader, ...guessed(columns, rows) };
}

// Names of columns are short, differ, and are unlike what stands below them.
function looksLikeNames(head, rest) {
  const names = head.map((cell) => cell.trim());
  if (!rest.length || new Set(names).size < names.length || names.some((name) => !name || name.length > 30)) return false;
  const below = names.map((_, i) => rest.slice(0, 500).map((row) => (row[i] || "").trim()));
  if (names.some((name, i) => below[i].includes(name))) return false;
  return below.some((cells, i) => {
    const length = cells.reduce((sum, cell) => sum + cell.length, 0) / cells.length;
    const areNumbers = cells.every((cell) => cell && !Number.isNaN(Number(cell)));
    return (areNumbers && Number.isNaN(Number(names[i]))) || length > 3 * names[i].length;
  });
}

// Labels repeat, texts are long.
function guessed(columns, rows) {
  const some = rows.slice(0, 500);
  const share = columns.map((_, i) => new Set(some.map((row) => row[i])).size / Math.max(1, some.length));
  const length = columns.map((_, i) => some.reduce((sum, row) => sum + (row[i] || "").length, 0));
  const named = (pattern) => columns.findIndex((name) => pattern.test(name));
  const text = named(TEXTS) >= 0 ? named(TEXTS) : length.indexOf(Math.max(...length));
  const others = columns.map((_, i) => i).filter((i) => i !== text);
  const label = named(LABELS) >= 0 ? named(LABELS) : others.sort((a, b) => share[a] - share[b])[0] ?? text;
  return { text, label };
}

export function TablePreview({ table, project, onAdd, onDrop }) {
  const [text, setText] = useState(table.text);
  const [label, setLabel] = useState(table.label);
  const [className, setClassName] = useState(table.className || "");
  const counts = table.isLines ? null : counted(table, label);
  const isReady = table.isLines ? classOf(className) : text !== label && counts.size >= 1;
  const add = () => onAdd(table.isLines ? { className } : { text: table.columns[text], label: table.columns[label] });
  const choice = (value, set, title) => html`<label class="field">${title}
    <select value=${value} onChange=${(event) => set(Number(event.target.value))}>
      ${table.columns.map((name, i) => html`<option value=${i}>${table.hasHeader ? name : `column ${name}`}</option>`)}</select></label>`;
  return html`<section class="card preview" aria-label=${`Table ${table.file.name}`}>
    <header><h2 class="clip">${table.file.name}</h2><span class="dim">${bytes(table.file.size)}, ${many(table.rows.length, "row")}${table.isWhole ? "" : " at least"}</span>
      <button class="icon" aria-label="Do not use this table" onClick=${onDrop}><${Icon} name="close" /></button></header>
    <div class="columns-choice">${table.isLines
      ? html`<label class="field">Class of these texts <input value=${className} maxlength="64" onInput=${(event) => setClassName(event.target.value)} /></label>`
      : html`${choice(text, setText, "Texts are in")}${choice(label, setLabel, "Labels are in")}`}</div>
    <div class="scroll"><table class="plain"><thead><tr>${table.columns.map((name, i) => html`<th scope="col" class=${i === text ? "is-text" : i === label ? "is-label" : ""}>${table.hasHeader ? name : `column ${name}`}</th>`)}</tr></thead>
      <tbody>${table.rows.slice(0, ROWS).map((row) => html`<tr>${table.columns.map((_, i) => html`<td class=${i === text ? "is-text" : i === label ? "is-label" : ""}>${(row[i] || "").slice(0, 200)}</td>`)}</tr>`)}</tbody></table></div>
    ${counts && html`<${Counts} counts=${counts} least=${project.limits.min_rows_per_class} isWhole=${table.isWhole} />`}
    ${!table.isLines && text === label && html`<p class="note warn">Texts and labels are the same column: choose another for one of them.</p>`}
    <div class="actions"><button class="primary" disabled=${!isReady} onClick=${add}>Add this table</button></div>
  </section>`;
}

function counted(table, label) {
  const counts = new Map();
  for (const row of table.rows) {
    const name = (row[label] || "").trim();
    if (name) counts.set(name, (counts.get(name) || 0) + 1);
  }
  return counts;
}

function Counts({ counts, least, isWhole }) {
  const ordered = [...counts].sort((a, b) => b[1] - a[1]);
  if (counts.size > 50) {
    return html`<p class="note warn">${number(counts.size)} different labels: is this the right column?</p>`;
  }
  return html`<ul class="label-counts" aria-label="Labels">${ordered.slice(0, 20).map(([name, count]) => html`<li class=${`chip ${isWhole && count < least ? "few" : ""}`} title=${name}>${name.slice(0, 40)}: ${number(count)}</li>`)}
    ${ordered.length > 20 && html`<li class="dim">and ${ordered.length - 20} more</li>`}</ul>`;
}
