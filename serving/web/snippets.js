// Calls of the endpoint to paste, with its address filled in and its key left out.

export function snippets({ kind, endpoint }) {
  const found = kind === "text" ? text(endpoint) : picture(endpoint);
  return { curl: found[0], Python: found[1], JavaScript: found[2] };
}

const text = (endpoint) => [
  `curl ${endpoint} \\
  -H "x-api-key: $EXEMPLAR_KEY" \\
  -H "Content-Type: application/json" \\
  --data '{"text": "…"}'`,
  `import os

import httpx

answer = httpx.post(
    "${endpoint}",
    headers={"x-api-key": os.environ["EXEMPLAR_KEY"]},
    json={"text": "…"},
).raise_for_status().json()
print(answer["label"], answer["probabilities"])`,
  `const response = await fetch("${endpoint}", {
  method: "POST",
  headers: { "x-api-key": process.env.EXEMPLAR_KEY, "content-type": "application/json" },
  body: JSON.stringify({ text: "…" }),
});
const { label, probabilities } = await response.json();`,
];

const picture = (endpoint) => [
  `curl ${endpoint} \\
  -H "x-api-key: $EXEMPLAR_KEY" \\
  -H "Content-Type: image/jpeg" \\
  --data-binary @picture.jpg`,
  `import os
from pathlib import Path

import httpx

answer = httpx.post(
    "${endpoint}",
    headers={"x-api-key": os.environ["EXEMPLAR_KEY"], "Content-Type": "image/jpeg"},
    content=Path("picture.jpg").read_bytes(),
).raise_for_status().json()
print(answer["label"], answer["probabilities"])`,
  `import { readFile } from "node:fs/promises";

const response = await fetch("${endpoint}", {
  method: "POST",
  headers: { "x-api-key": process.env.EXEMPLAR_KEY, "content-type": "image/jpeg" },
  body: await readFile("picture.jpg"),
});
const { label, probabilities } = await response.json();`,
];
