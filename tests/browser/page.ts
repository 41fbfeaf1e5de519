/* What test_browser.py runs in Chromium: each check by name, and the verdict posted to the server of the page.
 *
 * The page's address says where the daemon is and what is expected: ?daemon=URL&token=TEXT&expect=allowed|small|refused,
 * where small leaves out the large entry.
 */
import { explainAbsence, Lailad, ProblemError } from "./client.js";

const asked = new URLSearchParams(location.search);
const daemon = asked.get("daemon") ?? "";
const http = new Lailad(daemon, asked.get("token") ?? undefined);
const BIG_BYTES = 32 * 1024 * 1024;
const BLOCK_BYTES = 1024 * 1024;

const demand = (condition: boolean, what: string): void => {
  if (!condition) throw new Error(what);
};

const problemOf = async (action: Promise<unknown>): Promise<ProblemError> => {
  try {
    await action;
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
  throw new Error("it was not refused");
};

const textOf = (body: ReadableStream<Uint8Array>): Promise<string> => new Response(body).text();

/** The byte of the big entry at a position: cheap, and no two blocks are alike. */
const byteAt = (position: number): number => (position ^ (position >> 8) ^ ((position >> 20) * 37)) & 0xff;

const bigBlob = (): Blob => {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let begin = 0; begin < BIG_BYTES; begin += BLOCK_BYTES) {
    const block = new Uint8Array(BLOCK_BYTES);
    for (let index = 0; index < BLOCK_BYTES; index++) block[index] = byteAt(begin + index);
    parts.push(block);
  }
  return new Blob(parts, { type: "application/octet-stream" });
};

const allowed: Record<string, () => Promise<void>> = {
  async "an entry is put, read, asked for and deleted"() {
    const id = "a/b c+d%é";
    const put = await http.put("disk", id, new Blob(["hello"], { type: "text/plain" }));
    demand(put.isNew, "not new");
    demand(put.location !== null && put.entry.etag !== null, "Location or ETag cannot be read");
    const read = await http.get("alpha", id);
    demand((await textOf(read.body)) === "hello", "another body");
    demand(read.contentType === "text/plain", `content type ${read.contentType}`);
    const head = await http.head("alpha", id);
    demand(head !== null && head.bytes === 5, "HEAD does not find it");
    await http.delete("alpha", id);
    demand((await http.head("alpha", id)) === null, "it is still there");
    demand((await http.head("disk", id)) !== null, "it was deleted below as well");
  },

  async "what the service says can be read"() {
    await http.put("disk", "fields", "x");
    const miss = await http.get("alpha", "fields");
    demand(miss.etag !== null && miss.digest !== null, "ETag or Repr-Digest cannot be read");
    demand(/"disk";hit.*"alpha";fwd=uri-miss/.test(miss.cacheStatus ?? ""), `Cache-Status is ${miss.cacheStatus}`);
    const part = await http.get("alpha", "fields", { Range: "bytes=0-0" });
    demand(part.status === 206 && part.range === "bytes 0-0/1", `Content-Range is ${part.range}`);
  },

  async "conditions hold"() {
    const first = await http.put("disk", "once", "1", { "If-None-Match": "*" });
    const second = await problemOf(http.put("disk", "once", "2", { "If-None-Match": "*" }));
    demand(second.type === "urn:lailad:problem:precondition-failed", `${second.type}`);
    await http.put("disk", "once", "3", { "If-Match": first.entry.etag ?? "" });
  },

  async "a list goes over its pages"() {
    for (let number = 0; number < 7; number++) await http.put("disk", `page ${number}`, "x");
    const ids: string[] = [];
    for await (const id of http.ids("disk", "page ", 3)) ids.push(id);
    demand(ids.sort().join() === Array.from({ length: 7 }, (_, n) => `page ${n}`).join(), ids.join());
  },

  async "pools are wired"() {
    const before = await http.chain();
    demand(before.join() === "alpha << disk", before.join());
    await http.setProxy("alpha", null);
    demand((await http.chain()).length === 0, "the link is still there");
    demand((await http.wire("alpha << disk")).join() === "alpha << disk", "not wired");
    demand((await http.pool("alpha")).kind === "memory", "alpha is no memory");
  },

  async "failures are problems"() {
    const missing = await problemOf(http.get("alpha", "nothing here"));
    demand(missing.status === 404 && missing.type === "urn:lailad:problem:entry-not-found", `${missing.type}`);
    demand(missing.problem?.retryable === false, "retryable");
    const nowhere = await problemOf(http.list("nowhere"));
    demand(nowhere.problem?.type === "urn:lailad:problem:pool-not-found", `${nowhere.type}`);
    const said = explainAbsence(nowhere.problem as Parameters<typeof explainAbsence>[0]);
    demand(said === "no such pool", said);
    const cycle = await problemOf(http.wire("disk << alpha"));
    demand(cycle.status === 409, `${cycle.status}`);
    const token = await problemOf(new Lailad(daemon, "wrong").chain());
    demand(token.status === 401, `${token.status}`);
  },

  async "a large entry streams both ways"() {
    await http.put("disk", "big", bigBlob());
    const read = await http.get("alpha", "big");
    demand(read.bytes === BIG_BYTES, `Content-Length ${read.bytes}`);
    const reader = read.body.getReader();
    let [position, pieces] = [0, 0];
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      pieces++;
      for (let index = 0; index < step.value.length; index++, position++) {
        if (step.value[index] !== byteAt(position)) throw new Error(`another byte at ${position}`);
      }
    }
    demand(position === BIG_BYTES, `${position} bytes came`);
    demand(pieces > 8, `in ${pieces} pieces`);
  },

  async "a download that is broken off harms nothing"() {
    const read = await http.get("alpha", "big");
    const reader = read.body.getReader();
    await reader.read();
    await reader.cancel();
    demand((await http.chain()).length === 1, "no answer any more");
  },
};

const refused: Record<string, () => Promise<void>> = {
  async "the browser keeps every answer from this page"() {
    for (const [name, action] of Object.entries({
      read: () => http.get("alpha", "anything"),
      list: () => http.list("alpha"),
      write: () => http.put("alpha", "foreign", "x"),
      delete: () => http.delete("alpha", "anything"),
      wire: () => http.wire("alpha << disk"),
    })) {
      const outcome = await action().then(
        () => "was answered",
        (error: unknown) => (error instanceof TypeError ? "" : String(error)),
      );
      demand(outcome === "", `${name}: ${outcome}`);
    }
  },
};

const run = async (checks: Record<string, () => Promise<void>>) => {
  const passed: string[] = [];
  const failed: Record<string, string> = {};
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      passed.push(name);
    } catch (error) {
      failed[name] = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
  }
  await fetch("/verdict", { method: "POST", body: JSON.stringify({ passed, failed }) });
};

const expected = asked.get("expect");
if (expected === "small") {
  for (const name of Object.keys(allowed).filter((name) => name.includes("large") || name.includes("broken off"))) delete allowed[name];
}
void run(expected === "refused" ? refused : allowed);
