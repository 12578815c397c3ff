// Texts: tables with a preview and a choice of columns, a file for each class, or typed rows.

import { call, projectPath } from "./api.js";
import { chosen, classOf, dropped } from "./drops.js";
import { Icon, Problem, bytes, html, many, number, useConfirm, useEffect, useRef, useState } from "./elements.js";
import { TablePreview, readTable } from "./table-preview.js";

const TABLE = /\.(csv|tsv|txt)$/i;

export function TextTables({ project, collection, error, look, uploads, queue, again, check }) {
  const [waiting, setWaiting] = useState([]);
  const [problem, setProblem] = useState(null);
  const [isOver, setOver] = useState(false);
  const [ask, dialog] = useConfirm();
  const take = async (gathering) => {
    const { files } = await gathering;
    const tables = files.filter(({ path }) => TABLE.test(path));
    if (tables.length < files.length) {
      setProblem({ message: `${many(files.length - tables.length, "file is", "files are")} no table`, fix: "use CSV, TSV, or text files with one text on each line" });
    } else setProblem(null);
    const read = await Promise.all(tables.map(({ file }) => readTable(file)));
    setWaiting((before) => [...before, ...read]);
  };
  const add = (table, columns) => {
    const className = table.isLines ? classOf(columns.className) : "";
    const found = table.isLines ? undefined : { text_column: columns.text, label_column: columns.label };
    uploads.add([{ file: table.file, name: table.file.name, className, isTable: true, columns: found }]);
    setWaiting((before) => before.filter((one) => one !== table));
  };
  const remove = async (file) => {
    if (!(await ask({ title: `Take out “${file.name}”?`, action: "Take out", text: "Its texts will no longer be learnt from." }))) return;
    try {
      await call("PATCH", projectPath(project.project, "examples"), { remove: [{ sha256: file.sha256, class: file.class || "" }] });
      uploads.forget((item) => item.sha256 === file.sha256);
    } catch (found) {
      setProblem(found);
    }
    look();
    again();
  };
  const files = collection?.files || [];
  return html`
    <div class=${`bulk tables ${isOver ? "over" : ""}`} onDragOver=${(event) => {
      event.preventDefault();
      setOver(true);
    }} onDragLeave=${() => setOver(false)} onDrop=${(event) => {
      event.preventDefault();
      setOver(false);
      take(dropped(event.dataTransfer));
    }}>
      <${Icon} name="text" /><span>Drop a table (CSV or TSV) with <strong>one column of texts and one of labels</strong>, or</span>
      <label class="button quiet small">choose a table
        <input type="file" class="hidden" accept=".csv,.tsv,.txt" multiple onChange=${(event) => take(chosen(event.target))} /></label>
      <span class="dim">Text files with one text on each line work too: one file for each class.</span>
    </div>
    <${Problem} error=${problem || error} />
    <${Failed} uploads=${uploads} queue=${queue} />
    ${waiting.map((table) => html`<${TablePreview} key=${table.id} table=${table} project=${project} onAdd=${(columns) => add(table, columns)}
      onDrop=${() => setWaiting((before) => before.filter((one) => one !== table))} />`)}
    ${files.length > 0 && html`<ul class="tables-list" aria-label="Tables">${files.map((file) => html`<li class="card row" key=${file.sha256 + file.class}>
      <${Icon} name="text" /><div class="grow"><strong class="clip">${file.name}</strong>
        <span class="dim">${bytes(file.size_bytes)}${file.class ? `, class “${file.class}”` : file.label_column ? `, labels in “${file.label_column}”` : ""}</span>
        <${Labels} counts=${labelsOf(check, file)} least=${project.limits.min_rows_per_class} /></div>
      <button class="icon" aria-label=${`Take out ${file.name}`} onClick=${() => remove(file)}><${Icon} name="bin" /></button></li>`)}</ul>`}
    <${TypedRows} project=${project} uploads=${uploads} known=${project.classes} />
    ${dialog}`;
}

// Of a small table the server says what it holds; of a large one its preview has.
function labelsOf(check, file) {
  const tables = check?.tables || [];
  return tables.find((table) => table.name === file.name && (table.class || "") === (file.class || ""))?.labels;
}

function Labels({ counts, least }) {
  if (!counts) return null;
  const entries = Object.entries(counts);
  return html`<ul class="label-counts" aria-label="Labels">${entries.slice(0, 12).map(([name, count]) => html`<li class=${`chip ${count < least ? "few" : ""}`} key=${name}>
    ${name}: ${number(count)}</li>`)}${entries.length > 12 && html`<li class="dim">and ${entries.length - 12} more</li>`}</ul>`;
}

function Failed({ uploads }) {
  const failed = uploads.items.filter((item) => item.state === "failed");
  if (uploads.isBusy) return html`<div class="sending" role="status"><progress aria-label="Upload"></progress><span>Sending …</span></div>`;
  if (!failed.length) return null;
  return html`<div class="note bad" role="alert"><ul>${failed.map((item) => html`<li><strong>${item.name}</strong>: ${item.reason}</li>`)}</ul>
    <div class="actions"><button class="small" onClick=${() => uploads.retry()}>Send again</button>
      <button class="quiet small" onClick=${() => uploads.forget((item) => item.state === "failed")}>Dismiss</button></div></div>`;
}

// Rows that are typed stay in this browser until they are saved, then they are a table like others.
function TypedRows({ project, uploads, known }) {
  const place = `exemplar.rows.${project.project}`;
  const [rows, setRows] = useState(() => kept(place));
  const [label, setLabel] = useState(known[0] || "");
  const [lines, setLines] = useState("");
  const area = useRef(null);
  useEffect(() => localStorage.setItem(place, JSON.stringify(rows)), [rows]);
  const counts = new Map();
  for (const row of rows) counts.set(row.label, (counts.get(row.label) || 0) + 1);
  const add = (event) => {
    event.preventDefault();
    const name = classOf(label);
    const found = lines.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!name || !found.length) return;
    setRows([...rows, ...found.map((text) => ({ text, label: name }))]);
    setLines("");
    area.current.focus();
  };
  const save = () => {
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const body = ["text,label", ...rows.map((row) => `${quoted(row.text)},${quoted(row.label)}`)].join("\r\n");
    const name = `typed-${new Date().toISOString().slice(0, 16).replace(/[-:T]/g, "")}.csv`;
    const file = new File([`${body}\r\n`], name, { type: "text/csv" });
    uploads.add([{ file, name, className: "", isTable: true, columns: { text_column: "text", label_column: "label" } }]);
    setRows([]);
  };
  return html`<form class="card typed" onSubmit=${add}>
    <h2>Type or paste rows</h2>
    <div class="typed-row">
      <label class="field grow">Texts, one on each line
        <textarea ref=${area} rows="3" value=${lines} onInput=${(event) => setLines(event.target.value)}></textarea></label>
      <label class="field">Their label
        <input list="labels" value=${label} maxlength="64" onInput=${(event) => setLabel(event.target.value)} />
        <datalist id="labels">${[...new Set([...known, ...counts.keys()])].map((name) => html`<option value=${name} />`)}</datalist></label>
    </div>
    <div class="actions">
      <button class="quiet" disabled=${!lines.trim() || !classOf(label)}>Add</button>
      ${rows.length > 0 && html`<button type="button" class="primary" onClick=${save}>Save ${many(rows.length, "row")}</button>`}
    </div>
    ${rows.length > 0 && html`<p class="dim">${[...counts].map(([name, count]) => `${name}: ${number(count)}`).join(" · ")}</p>
      <ul class="typed-rows">${rows.slice(-30).reverse().map((row, i) => html`<li><span class="clip grow">${row.text}</span><span class="chip">${row.label}</span>
        <button type="button" class="icon small" aria-label=${`Take out “${row.text.slice(0, 40)}”`} onClick=${() => setRows(rows.filter((_, at) => at !== rows.length - 1 - i))}><${Icon} name="close" /></button></li>`)}</ul>`}
  </form>`;
}

function kept(place) {
  try {
    return JSON.parse(localStorage.getItem(place)) || [];
  } catch {
    return [];
  }
}
