// A chat app with the AI SDK's own hook and transport: `node client.js URL USER QUESTION ...`
// Asks the questions one after the other, and prints what the hook showed at the end as JSON.

import { useChat } from "@ai-sdk/react";
import { TextStreamChatTransport } from "ai";
import { createElement } from "react";
import { act, create } from "react-test-renderer";

const [url, user, ...questions] = process.argv.slice(2);
const headers = { "X-Forwarded-User": user };
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

let chatId;
const transport = new TextStreamChatTransport({
  api: `${url}/api/chat`,
  headers,
  body: () => ({ chatId }),
  fetch: async (...request) => {
    const response = await fetch(...request);
    chatId = response.headers.get("X-Chat-Id");
    return response;
  },
});

let chat;
const seen = []; // every length the last answer had while it streamed
function App() {
  chat = useChat({ transport });
  if (chat.status === "streaming") seen.push(textOf(chat.messages.at(-1)).length);
  return null;
}
const textOf = (message) => message.parts.map((part) => part.text ?? "").join("");

await act(() => create(createElement(App)));
for (const text of questions) await act(() => chat.sendMessage({ text }));

const history = await fetch(`${url}/api/chats/${chatId}/messages`, { headers });
console.log(
  JSON.stringify({
    chatId,
    status: chat.status,
    steps: new Set(seen).size,
    messages: chat.messages.map((message) => [message.role, textOf(message)]),
    history: (await history.json()).map(({ role, content }) => [role, content]),
  }),
);
