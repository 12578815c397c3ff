// Examples on the left, training and trying on the right.

import { call, projectPath } from "./api.js";
import { html, useCallback, useEffect, useState } from "./elements.js";
import { PictureClasses } from "./picture-classes.js";
import { TextTables } from "./text-tables.js";
import { Training, useCheck } from "./training.js";
import { TryIt } from "./try-it.js";
import { uploadsOf } from "./uploads.js";

export function TrainPart({ project, job, isRunning, again, account }) {
  const uploads = uploadsOf(project.project);
  const queue = useQueue(uploads);
  const [collection, error, look] = useCollection(project.project, uploads);
  const [options, setOptions] = useState({});
  const isWaiting = uploads.isBusy || isRunning;
  const [check, problem] = useCheck(project, collection, options, isWaiting, job?.state);
  const Examples = project.kind === "text" ? TextTables : PictureClasses;
  return html`<div class="train-part">
    <section class="examples" aria-label="Examples">
      <${Examples} project=${project} collection=${collection} error=${error} look=${look} uploads=${uploads} queue=${queue} again=${again} check=${check} />
    </section>
    <div class="beside">
      <${Training} project=${project} job=${job} isRunning=${isRunning} again=${again} collection=${collection}
        isUploading=${uploads.isBusy} account=${account} check=${check} error=${problem} options=${options} setOptions=${setOptions} />
      ${project.model_version && html`<${TryIt} project=${project} isSmall=${true} />`}
    </div>
  </div>`;
}

// Draws again when the queue changes; the number says that it did.
function useQueue(uploads) {
  const [count, setCount] = useState(0);
  useEffect(() => {
    const told = () => setCount((n) => n + 1);
    uploads.addEventListener("change", told);
    return () => uploads.removeEventListener("change", told);
  }, [uploads]);
  return count;
}

// What the next training learns from: counts, and what was announced but never arrived.
function useCollection(name, uploads) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const look = useCallback(async () => {
    try {
      setFound(await call("GET", `${projectPath(name, "examples")}?limit=100&missing=true`));
      setError(null);
    } catch (problem) {
      setError(problem);
    }
  }, [name]);
  useEffect(() => {
    look();
    let timer = 0;
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(look, 500);
    };
    const seen = () => !document.hidden && look();
    uploads.addEventListener("stored", soon);
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearTimeout(timer);
      uploads.removeEventListener("stored", soon);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [look, uploads]);
  return [found, error, look];
}
