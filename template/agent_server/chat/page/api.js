/** Requests to the server; failures are sentences to show. */

import { t } from "./words.js";

/** What went wrong, in words for the user. */
export class Failure extends Error {
  /** `status` and `code` are the response's; undefined without a response. */
  constructor(sentence, { status, code } = {}) {
    super(sentence);
    Object.assign(this, { status, code });
  }
}

/** The user must sign in again: whatever answers is not this app. */
export class SessionEnded extends Failure {
  constructor() {
    super(t("session_ended"), { status: 401 });
  }
}

/** Send a request and return its response; throws a Failure. */
export async function request(method, path, { body, accept = "application/json" } = {}) {
  const headers = { Accept: accept };
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    const sent = body && JSON.stringify(body);
    // A redirect leads to where one signs in, which can't be read from here.
    response = await fetch(path, { method, headers, body: sent, redirect: "manual" });
  } catch {
    throw new Failure(t("unreachable"));
  }
  const kind = response.headers.get("Content-Type") ?? "";
  const isPage = response.ok && kind.startsWith("text/html");
  if (response.type === "opaqueredirect" || response.status === 401 || isPage) {
    throw new SessionEnded();
  }
  if (!response.ok) throw await toFailure(response);
  return response;
}

/** Return one page of a list, the path of the next page, and the running response's id, if any. */
export async function getPage(path) {
  const response = await request("GET", path);
  const [, query] = /<[^>?]*(\?[^>]*)>/.exec(response.headers.get("Link") ?? "") ?? [];
  return {
    items: await response.json(),
    next: query && path.split("?")[0] + query,
    responseId: response.headers.get("X-Response-Id"),
  };
}

/** Return the latest page of messages, grown until it has one that `begins`: the last question. */
export async function getLatest(path, begins = ({ role }) => role === "user") {
  const page = await getPage(path);
  while (page.next && !page.items.some(begins)) {
    const { items, next } = await getPage(page.next);
    page.items.unshift(...items);
    page.next = next;
  }
  return page;
}

/**
 * Whether stored messages have all questions that are shown, and a complete answer to the last.
 * `shown` are the ids of the questions, if loaded; both are counted from the one that is `known`.
 */
export function isAnswered(items, shown, known) {
  const stored = items.filter(({ role }) => role === "user").map(({ id }) => id);
  const since = (ids) => ids.length - ids.indexOf(known);
  const last = items.at(-1);
  return last?.role === "assistant" && !last.partial && since(shown) === since(stored);
}

async function toFailure(response) {
  const { status } = response;
  try {
    const { message, code } = (await response.json()).error;
    return new Failure(message, { status, code });
  } catch {
    return new Failure(t("status", { status }), { status });
  }
}
