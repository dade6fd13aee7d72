/** A whole conversation, as a file or on paper. */

import { getPage } from "./api.js";
import { saveFile } from "./dom.js";
import { showAll } from "./paging.js";
import { t } from "./words.js";

/** Save the conversation as Markdown, as the server has it. */
export async function save(conversation, title) {
  let [messages, path] = [[], `${conversation.messages}?limit=200`];
  while (path) {
    const { items, next } = await getPage(path);
    messages = [...items, ...messages];
    path = next;
  }
  const text = [`# ${title}`, ...messages.map(toMarkdown)].join("\n\n");
  const name = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "conversation";
  saveFile(`${name}.md`, `${text}\n`, "text/markdown");
}

/** Print the conversation, all of it. */
export async function print(conversation) {
  await showAll(conversation);
  window.print();
}

function toMarkdown({ role, content, sources, partial }) {
  if (role === "tool") return toTool(JSON.parse(content));
  const links = sources.map(({ title, url }, place) => `${place + 1}. [${title || url}](${url})`);
  const end = [...(links.length ? [links.join("\n")] : []), ...(partial ? [`*${t("incomplete")}*`] : [])];
  return [`**${t(role === "user" ? "you_said" : "agent_said")}**`, content, ...end].join("\n\n");
}

function toTool({ name, arguments: given, output }) {
  const fence = "`".repeat(1 + Math.max(2, ...(`${given}${output}`.match(/`+/g) ?? []).map((run) => run.length)));
  return `*${name}*\n\n${fence}\n${given}\n\n${output ?? t("tool_without")}\n${fence}`;
}
