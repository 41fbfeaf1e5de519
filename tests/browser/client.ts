/* A small client of lailad for browsers, typed by what openapi-typescript makes of openapi.yaml (./openapi.d.ts).
 *
 * Nothing here repeats the contract: paths, methods, queries, bodies and problems are the generated types, so a change of
 * the contract that this client does not follow does not compile. It is what tests/behaviour/test_browser.py runs in
 * Chromium; it has no dependency and may be copied.
 */
import type { components, paths } from "./openapi.js";

type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];
export type ProblemType = Schemas["ProblemType"];
export type EntryList = Schemas["EntryList"];
export type Pool = Schemas["Pool"];

type Verb = "get" | "head" | "put" | "post" | "delete";
/** The methods that openapi.yaml gives a path. */
type VerbOf<P extends keyof paths> = { [V in Verb]: paths[P][V] extends { responses: unknown } ? V : never }[Verb];
type Operation<P extends keyof paths, V extends VerbOf<P>> = paths[P][V];
type Parameters<O> = O extends { parameters: infer All } ? All : never;
type Part<O, Name extends string> = Parameters<O> extends { [N in Name]?: infer Found } ? NonNullable<Found> : never;
/** The JSON body that an operation takes. */
type JsonBody<O> = O extends { requestBody?: { content: { "application/json": infer Body } } } ? Body : never;
/** The JSON that an operation answers with 200 or 201. */
type JsonAnswer<O> = O extends { responses: infer All }
  ? { [S in keyof All & (200 | 201)]: All[S] extends { content: { "application/json": infer Body } } ? Body : never }[keyof All & (200 | 201)]
  : never;

interface Ask<O> {
  path?: Part<O, "path">;
  query?: Part<O, "query">;
  json?: JsonBody<O>;
  body?: Blob | string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** A refusal of the service, with its problem document (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  constructor(
    readonly status: number,
    readonly problem: Problem | null,
  ) {
    super(problem ? `${problem.title}${problem.detail ? `: ${problem.detail}` : ""}` : `HTTP ${status}`);
  }

  get type(): ProblemType | null {
    return this.problem?.type ?? null;
  }
}

export interface Entry {
  etag: string | null;
  digest: string | null;
  cacheStatus: string | null;
  contentType: string | null;
  bytes: number | null;
}

const entryOf = (response: Response): Entry => {
  const length = response.headers.get("Content-Length");
  return {
    etag: response.headers.get("ETag"),
    digest: response.headers.get("Repr-Digest"),
    cacheStatus: response.headers.get("Cache-Status"),
    contentType: response.headers.get("Content-Type"),
    bytes: length === null ? null : Number(length),
  };
};

export class Lailad {
  constructor(
    private readonly base: string,
    private readonly token?: string,
  ) {}

  /** One request of an operation; the answer is a success, anything else is thrown as a ProblemError. */
  private async ask<P extends keyof paths, V extends VerbOf<P>>(
    verb: V,
    path: P,
    { path: segments, query, json, body, headers, signal }: Ask<Operation<P, V>>,
  ): Promise<Response> {
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(String((segments as Record<string, unknown> | undefined)?.[name])),
    );
    const url = new URL(filled, this.base);
    for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
      url.searchParams.append(name, String(value));
    }
    // Percent-encoding throughout: to the service a plus is a plus.
    url.search = url.search.replaceAll("+", "%20");
    const fields = new Headers(headers);
    if (this.token !== undefined) fields.set("Authorization", `Bearer ${this.token}`);
    if (json !== undefined) fields.set("Content-Type", "application/json");
    const response = await fetch(url, {
      method: verb.toUpperCase(),
      headers: fields,
      body: json !== undefined ? JSON.stringify(json) : (body ?? null),
      cache: "no-store",
      ...(signal ? { signal } : {}),
    });
    if (!response.ok) {
      const kind = response.headers.get("Content-Type") ?? "";
      const problem = kind.startsWith("application/problem+json") && verb !== "head" ? ((await response.json()) as Problem) : null;
      throw new ProblemError(response.status, problem);
    }
    return response;
  }

  private async json<P extends keyof paths, V extends VerbOf<P>>(verb: V, path: P, ask: Ask<Operation<P, V>>) {
    return (await (await this.ask(verb, path, ask)).json()) as JsonAnswer<Operation<P, V>>;
  }

  pool(nick: string): Promise<Pool> {
    return this.json("get", "/pools/{nick}", { path: { nick } });
  }

  list(nick: string, query: { prefix?: string; limit?: number; cursor?: string } = {}): Promise<EntryList> {
    return this.json("get", "/pools/{nick}/entries", { path: { nick }, query });
  }

  /** Every id of the pool itself, page by page. */
  async *ids(nick: string, prefix?: string, limit = 1000): AsyncGenerator<string> {
    let cursor: string | null = null;
    do {
      const page: EntryList = await this.list(nick, {
        limit,
        ...(prefix === undefined ? {} : { prefix }),
        ...(cursor === null ? {} : { cursor }),
      });
      yield* page.ids;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  /** Writes a Blob, which the browser streams from wherever it is kept; true when the entry is new. */
  async put(nick: string, id: string, body: Blob | string, headers: Record<string, string> = {}): Promise<{ isNew: boolean; entry: Entry; location: string | null }> {
    const response = await this.ask("put", "/pools/{nick}/entries/{id}", { path: { nick, id }, body, headers });
    return { isNew: response.status === 201, entry: entryOf(response), location: response.headers.get("Location") };
  }

  /** Reads with cascade; the body is a stream, so an entry need not fit into memory. */
  async get(nick: string, id: string, headers: Record<string, string> = {}): Promise<Entry & { body: ReadableStream<Uint8Array>; status: number; range: string | null }> {
    const response = await this.ask("get", "/pools/{nick}/entries/{id}", { path: { nick, id }, headers });
    if (!response.body) throw new TypeError("an answer without a body");
    return { ...entryOf(response), body: response.body, status: response.status, range: response.headers.get("Content-Range") };
  }

  /** What the pool itself holds under the id, or null. */
  async head(nick: string, id: string): Promise<Entry | null> {
    try {
      return entryOf(await this.ask("head", "/pools/{nick}/entries/{id}", { path: { nick, id } }));
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404) return null;
      throw error;
    }
  }

  async delete(nick: string, id: string): Promise<void> {
    await this.ask("delete", "/pools/{nick}/entries/{id}", { path: { nick, id } });
  }

  async chain(): Promise<string[]> {
    const answer = await this.json("get", "/chain", { headers: { Accept: "application/json" } });
    return answer.chain;
  }

  /** LAILA's <<: applies expressions and leaves the other links. */
  async wire(...chain: string[]): Promise<string[]> {
    const answer = await this.json("post", "/chain", { json: { chain }, headers: { Accept: "application/json" } });
    return answer.chain;
  }

  async setProxy(nick: string, pool: string | null): Promise<void> {
    await this.ask("put", "/pools/{nick}/proxy_to", { path: { nick }, json: { pool } });
  }
}

/** What to tell a user of a 404. The list of types is closed: a new one does not compile before it has a sentence. */
export const explainAbsence = (problem: Schemas["NotFoundProblem"]): string => {
  switch (problem.type) {
    case "urn:lailad:problem:pool-not-found":
      return "no such pool";
    case "urn:lailad:problem:entry-not-found":
      return "no such entry";
    case "urn:lailad:problem:route-not-found":
      return "no such resource";
  }
};
