// What the live model answered to each test example, joined with what is known of the example.

import { call, projectPath, stored } from "./api.js";
import { useEffect, useState } from "./elements.js";

// The live model's answers on its test examples, with what the manifest says of each.
export function useEvaluation(project) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const version = project.model_version;
  useEffect(() => {
    setFound(null);
    if (!version) return undefined;
    let isOver = false;
    (async () => {
      try {
        const model = await call("GET", projectPath(project.project, "models", version));
        const live = project.versions.find((one) => one.model_version === version);
        const links = model.evaluations.find((one) => one.dataset_version === live?.dataset_version) || model.evaluations[0];
        if (!links) return;
        const [evaluation, manifest] = await Promise.all([stored(links.url), stored(links.manifest_url)]);
        const texts = project.kind === "text" ? await shownTexts(project) : new Map();
        if (!isOver) setFound(joined(evaluation, manifest, texts));
      } catch (problem) {
        if (!isOver) setError(problem);
      }
    })();
    return () => {
      isOver = true;
    };
  }, [project.project, version]);
  return [found, error];
}

// Texts lie in a table of the training side; the report holds those that are worth showing.
async function shownTexts(project) {
  try {
    const report = await call("GET", projectPath(project.project, "report"));
    const model = report.model && (await stored(report.model.json_url));
    return new Map([...(model?.wrong || []), ...(model?.right || [])].map((one) => [one.name, one.text]));
  } catch {
    return new Map();
  }
}

function joined(evaluation, manifest, texts) {
  const known = new Map(manifest.examples.map((example) => [example.sha256, example]));
  const classes = evaluation.classes;
  const answers = evaluation.sha256s.map((sha256, i) => ({
    sha256,
    truth: evaluation.truth[i],
    predicted: evaluation.predicted[i],
    confidence: evaluation.confidence[i],
    name: known.get(sha256)?.source || "",
    text: texts.get(known.get(sha256)?.source),
  }));
  const confusion = classes.map(() => classes.map(() => 0));
  for (const { truth, predicted } of answers) confusion[truth][predicted] += 1;
  const rejected = evaluation.rejected.filter(Boolean).length;
  return { ...evaluation, answers, confusion, rejected, manifest };
}
