const STALE_DAYS = 90;
const DAY_MS = 24 * 60 * 60 * 1000;

export default async function ({ repo, number, today }, { callTool, log }) {
  const issue = await callTool("github", "get_issue", { repo, number });
  const days = Math.floor((new Date(today) - new Date(issue.updatedAt)) / DAY_MS);
  if (issue.state !== "open" || days < STALE_DAYS) return { closed: false, days };
  log("stale for days", days);
  await callTool("github", "add_comment", { repo, number, body: `Closed: no activity for ${days} days.` });
  await callTool("github", "update_issue", { repo, number, state: "closed" });
  return { closed: true, days };
}
