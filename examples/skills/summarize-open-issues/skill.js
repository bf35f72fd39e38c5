export default async function ({ project }, { callTool, log }) {
  const [code, tracker] = await Promise.all([
    ask(() => callTool("github", "list_issues", { repo: project, state: "open" })),
    ask(() => callTool("linear", "list_issues", { project, status: "open" })),
  ]);
  const issues = [
    ...code.issues.map(({ number, title, updatedAt }) => ({ id: `#${number}`, title, updatedAt })),
    ...tracker.issues.map(({ key, title, updatedAt }) => ({ id: key, title, updatedAt })),
  ].toSorted((left, right) => right.updatedAt.localeCompare(left.updatedAt));
  log("issues found", issues.length);
  return {
    total: issues.length,
    newest: issues.slice(0, 5),
    missing: [code.problem, tracker.problem].filter((problem) => problem !== undefined),
  };
}

async function ask(call) {
  try {
    return { issues: (await call()).issues };
  } catch (error) {
    return { issues: [], problem: `${error.code}: ${error.message}` };
  }
}
