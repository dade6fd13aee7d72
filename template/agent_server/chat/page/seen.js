/** Which conversations have an answer that the user has not seen, as far as this browser knows. */

import { keep, kept } from "./storage.js";

const MOST = 500; // conversations
const seen = kept("seen") ?? { since: null, at: {} };

/** Note that what a conversation holds is seen; what it holds when it is first listed is, too. */
export function see({ id, updated_at: time }) {
  if (seen.at[id] >= time) return;
  delete seen.at[id]; // so that it becomes the last
  seen.at[id] = time;
  const old = Object.keys(seen.at).slice(0, -MOST);
  for (const each of old) delete seen.at[each];
  keep("seen", seen);
}

/** Whether there is an answer that was not seen. */
export function isUnread({ id, updated_at: time, running }) {
  return !running && time > (seen.at[id] ?? seen.since);
}

/** Take all that is listed on the first visit as seen. */
export function begin(chats) {
  if (seen.since) return;
  seen.since = chats.map((chat) => chat.updated_at).sort().at(-1) ?? new Date().toISOString();
  keep("seen", seen);
}
