"""Who remembers what the daemon acknowledged, and holds it to that after a crash: over HTTP and, when it has ended, through h5py.

The rules are tests/crash/model.py's. One Ledger is used by several client threads; each has keys of its own, so that of every entry at most
one change is under way.
"""

import hashlib
import http.client
import pathlib
import sys
import threading
import urllib.parse

from client import entry_target

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))
import model as crash  # noqa: E402

GONE = (http.client.HTTPException, ConnectionError, TimeoutError)
DEFAULT_TYPE = "application/octet-stream"
# Answers after which everything is as it was.
UNCHANGED = {"no-space", "too-large", "pool-poisoned", "pool-read-only", "tier-io-error", "pool-loading", "busy", "draining"}


def link_name(entry_id):
    return urllib.parse.quote(entry_id, safe="")


def state_of(body, content_type=DEFAULT_TYPE, hold=crash.OWNED):
    return crash.State(hashlib.sha256(body).hexdigest(), content_type, len(body), hold)


def problem_name(answer):
    return answer.json()["type"].rpartition(":")[2] if answer.status >= 400 else None


class Ledger:
    def __init__(self, pool):
        self.pool = pool
        self.model = crash.Model()
        self.mutex = threading.Lock()

    def _begin(self, who, entry_id, action, state=None):
        with self.mutex:
            self.model.begin(who, link_name(entry_id), action, state)

    def _end(self, who, answer, unsure):
        name = problem_name(answer)
        with self.mutex:
            if name is None:
                self.model.end(who, True)
            else:
                self.model.end(who, False if name in UNCHANGED and not unsure else None)
        return answer

    def put(self, http_client, entry_id, body, content_type=DEFAULT_TYPE, headers=None, pieces=None, unsure=False):
        """pieces: a chunked body of unknown length. unsure: a refusal may have changed it all the same (a failed sync). An exception
        leaves the change under way."""
        who = threading.get_ident()
        self._begin(who, entry_id, "put", state_of(body, content_type))
        fields = {"Content-Type": content_type, **(headers or {})}
        if pieces:
            fields["Transfer-Encoding"] = "chunked"
            chunks = [body[at : at + pieces] for at in range(0, len(body), pieces)] + [b""]
            sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        else:
            sent = body
        return self._end(who, http_client.put(entry_target(self.pool, entry_id), sent, fields), unsure)

    def send_put(self, http_client, entry_id, body):
        """Without waiting for the answer: the change stays under way."""
        self._begin(threading.get_ident(), entry_id, "put", state_of(body))
        http_client.send("PUT", entry_target(self.pool, entry_id), body, {"Content-Type": DEFAULT_TYPE})

    def delete(self, http_client, entry_id, unsure=False):
        who = threading.get_ident()
        self._begin(who, entry_id, "delete")
        return self._end(who, http_client.delete(entry_target(self.pool, entry_id)), unsure)

    def copied(self, entry_id, body, content_type=DEFAULT_TYPE):
        """A read went through the chain: the pool may have a copy from here on."""
        who = ("copy", threading.get_ident())
        self._begin(who, entry_id, "fill", state_of(body, content_type, crash.CACHED))
        with self.mutex:
            self.model.end(who, True)

    def problem_of(self, http_client, entry_id):
        """Reads the entry from the pool itself and says what is wrong with it, or None."""
        answer = http_client.read(self.pool, entry_id, {"Cache-Control": "only-if-cached"})
        if answer.status not in (200, 404, 504):
            return f"unreadable: {entry_id}: {answer}"
        name = link_name(entry_id)
        with self.mutex:
            if answer.status != 200:
                return self.model.problem(name, None)
            # Whether it is owned or a copy, only the file tells.
            found = [state_of(answer.body, answer.header("Content-Type"), hold) for hold in (crash.OWNED, crash.CACHED)]
            problems = [self.model.problem(name, state) for state in found]
            return problems[0] if all(problems) else None

    def settle(self, http_client, entry_id):
        """Whatever the entry may have been, it is what the pool itself gives now."""
        answer = http_client.read(self.pool, entry_id, {"Cache-Control": "only-if-cached"})
        name = link_name(entry_id)
        with self.mutex:
            self.model.choose(name, (lambda state: state is None) if answer.status != 200 else
                              (lambda state: state is not None and state.sha256 == hashlib.sha256(answer.body).hexdigest()))

    def problems(self, http_client):
        """Of every entry that was ever touched, and of what the pool lists besides."""
        names = self.model.names()
        found = [self.problem_of(http_client, urllib.parse.unquote(name)) for name in sorted(names)]
        listed = {link_name(entry_id) for entry_id in http_client.ids(self.pool)}
        return [text for text in found if text] + [f"unknown: {name}" for name in sorted(listed - names)]

    def problems_of_file(self, path):
        """The same through h5py; the daemon has ended."""
        found, problems = crash.read_file(path)
        return problems + crash.compare(self.model, found)
