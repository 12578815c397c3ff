// Inference: the whole width for asking the live model.

import { Icon, html } from "./elements.js";
import { TryIt } from "./try-it.js";

export function InferencePart({ project, isRunning }) {
  if (!project.model_version) {
    return html`<section class="page narrow"><div class="card empty-part"><${Icon} name="spark" />
      <h2>Nothing to ask yet</h2>
      <p>${isRunning ? "The first draft will answer here in a moment." : "Train the project first: a draft answers within seconds."}</p>
      ${!isRunning && html`<a class="button primary" href=${`#/${project.project}`}>Add examples and train</a>`}
    </div></section>`;
  }
  return html`<section class="page narrow"><${TryIt} project=${project} isSmall=${false} /></section>`;
}
