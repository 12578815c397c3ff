// A new endpoint key is shown once: until then this tab keeps it, and nothing else does.

const NAME = "exemplar.key.";

export const keepKey = (project, key) => sessionStorage.setItem(NAME + project, key);
export const keptKey = (project) => sessionStorage.getItem(NAME + project) || "";
export const forgetKey = (project) => sessionStorage.removeItem(NAME + project);
