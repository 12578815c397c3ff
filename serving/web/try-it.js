// Ask the live model about a picture or a text, see why it says so, and tell it what is right.

import { call, projectPath } from "./api.js";
import { Answer } from "./answer.js";
import { dropped } from "./drops.js";
import { Icon, Problem, html, useCallback, useEffect, useRef, useState } from "./elements.js";
import { useCamera, shot } from "./webcam.js";

const LIVE_MS = 250;

export function TryIt({ project, isSmall }) {
  const Panel = project.kind === "text" ? TryText : TryPicture;
  return html`<section class="card try" aria-label="Try it">
    <h2>${isSmall ? "Try it" : "Ask the model"}</h2>
    <${Panel} project=${project} isSmall=${isSmall} />
  </section>`;
}

// The newest question wins: an answer that comes late is not shown.
function useAnswer(project) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const asked = useRef(0);
  const ask = useCallback(
    async (question, told) => {
      asked.current += 1;
      const mine = asked.current;
      setBusy(true);
      try {
        const answer = await call("POST", projectPath(project.project, "predict"), question, { patient: false });
        if (mine === asked.current) {
          setFound((before) => {
            if (before?.url && before.url !== told.url) URL.revokeObjectURL(before.url);
            return { ...answer, ...told, question };
          });
          setError(null);
        }
      } catch (problem) {
        if (mine === asked.current) {
          setError(problem);
          setFound(null);
        }
      }
      if (mine === asked.current) setBusy(false);
    },
    [project.project],
  );
  // Another version has come live: the question is asked again.
  useEffect(() => {
    if (found?.question && found.model_version && found.model_version !== project.model_version && !found.isLive) {
      ask(found.question, { url: found.url });
    }
  }, [project.model_version]);
  return [found, error, isBusy, ask];
}

function TryPicture({ project, isSmall }) {
  const [found, error, isBusy, ask] = useAnswer(project);
  const [isLive, setLive] = useState(false);
  const [isOver, setOver] = useState(false);
  const [problem, setProblem] = useState(null);
  const place = useRef(null);
  const take = useCallback(
    async (file) => {
      setLive(false);
      try {
        const blob = await made(file);
        setProblem(null);
        ask({ image_base64: await encoded(blob) }, { url: URL.createObjectURL(blob) });
      } catch (told) {
        setProblem({ message: told.message, fix: "choose another picture" });
      }
    },
    [ask],
  );
  useEffect(() => {
    const pasted = (event) => {
      const isHere = !isSmall || place.current?.contains(document.activeElement);
      const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
      if (isHere && file) take(file);
    };
    document.addEventListener("paste", pasted);
    return () => document.removeEventListener("paste", pasted);
  }, [take, isSmall]);
  const explain = () => ask({ ...found.question, explain: true }, { url: found.url });
  return html`<div ref=${place} tabindex="-1" class=${`ask ${isOver ? "over" : ""}`}
    onDragOver=${(event) => {
      event.preventDefault();
      setOver(true);
    }}
    onDragLeave=${() => setOver(false)}
    onDrop=${async (event) => {
      event.preventDefault();
      setOver(false);
      const url = event.dataTransfer.getData("text/uri-list");
      const { files } = await dropped(event.dataTransfer);
      if (files.length) take(files[0].file);
      else if (url) ask({ url }, { address: url });
    }}>
    <div class="ways">
      <label class="button small"><${Icon} name="files" />Choose a picture
        <input type="file" class="hidden" accept="image/*" onChange=${(event) => {
          if (event.target.files[0]) take(event.target.files[0]);
          event.target.value = "";
        }} /></label>
      <button class="quiet small" aria-pressed=${isLive} onClick=${() => setLive(!isLive)}><${Icon} name="camera" />${isLive ? "Stop the webcam" : "Webcam"}</button>
    </div>
    ${!isSmall && html`<${FromUrl} ask=${ask} />`}
    ${isLive && html`<${LiveCamera} ask=${ask} />`}
    <${Problem} error=${problem || error} />
    ${!found && !isLive && !error && html`<p class="empty dim">Drop or paste a picture here.</p>`}
    ${found && html`<${Answer} project=${project} found=${found} isBusy=${isBusy} onExplain=${found.isLive ? null : explain} isSmall=${isSmall} />`}
  </div>`;
}

function LiveCamera({ ask }) {
  const [video, problem] = useCamera();
  const busy = useRef(false);
  useEffect(() => {
    const timer = setInterval(async () => {
      if (busy.current || document.hidden) return;
      busy.current = true;
      try {
        const file = await shot(video.current);
        if (file) await ask({ image_base64: await encoded(file) }, { isLive: true });
      } finally {
        busy.current = false;
      }
    }, LIVE_MS);
    return () => clearInterval(timer);
  }, [ask]);
  return problem ? html`<p class="note bad" role="alert">${problem}</p>` : html`<video ref=${video} autoplay playsinline muted class="live"></video>`;
}

function FromUrl({ ask }) {
  const [url, setUrl] = useState("");
  return html`<form class="from-url" onSubmit=${(event) => {
    event.preventDefault();
    ask({ url }, { address: url });
  }}>
    <label class="field">Address of a picture <input type="url" required value=${url} placeholder="https://…" onInput=${(event) => setUrl(event.target.value)} /></label>
    <button class="quiet small" disabled=${!url}>Ask</button>
  </form>`;
}

// Made smaller by a worker, as examples are.
function made(file) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./workers/picture.js", import.meta.url), { type: "module" });
    const end = () => worker.terminate();
    worker.onmessage = ({ data }) => {
      end();
      if (data.problem) reject(new Error(data.problem));
      else resolve(data.blob);
    };
    worker.onerror = () => {
      end();
      reject(new Error("the picture could not be read"));
    };
    worker.postMessage({ file, wantsHash: false });
  });
}

async function encoded(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32_768) text += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  return btoa(text);
}

function TryText({ project, isSmall }) {
  const [found, error, isBusy, ask] = useAnswer(project);
  const [text, setText] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) ask({ text }, {});
  };
  return html`<form class="ask" onSubmit=${submit}>
    <label class="field">A text
      <textarea rows=${isSmall ? 3 : 5} value=${text} onInput=${(event) => setText(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event)}></textarea></label>
    <button class="primary small" disabled=${!text.trim() || isBusy}>Classify</button>
    <${Problem} error=${error} />
    ${found && html`<${Answer} project=${project} found=${found} isBusy=${isBusy} isSmall=${isSmall}
      onExplain=${() => ask({ ...found.question, explain: true }, {})} />`}
  </form>`;
}
