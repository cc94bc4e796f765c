"""The base of all answers of /api/v1: tokens, parameters and the shape of errors."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tornado.web import Finish, HTTPError

from esquirell.domain.command import Request, Source
from esquirell.domain.errors import CommandError
from esquirell.domain.nearest import similar
from esquirell.domain.periods import moment
from esquirell.web.handler import Handler, ProblemError
from esquirell.web.site import Lane
from esquirell.web.tokens import Token

UNAUTHORIZED = 401
REPEATED = frozenset({"meter"})


class Api(Handler):
    """An answer for a program with a token, or for a browser that is logged in."""

    token: Token | None = None
    # The parameters of its query; `meter` may be repeated.
    parameters: tuple[str, ...] = ()

    @property
    def wants_json(self) -> bool:
        """Whether programs read the answer."""
        return True

    def identify(self) -> None:
        """Find the token or the session. Five wrong tokens a minute are allowed."""
        given = self.request.headers.get("Authorization")
        if given is None:
            super().identify()
            return
        if wait_s := self.site.wrong.wait_s(self.visit.address):
            self.set_header("Retry-After", str(wait_s))
            self.set_status(429)
            self.write_json(error_shape("too_many_attempts", self.texts("error.429")))
            raise Finish
        scheme, _, text = given.partition(" ")
        self.token = self.site.tokens.find(text.strip()) if scheme.lower() == "bearer" else None
        if self.token is None:
            self.site.wrong.note(self.visit.address)

    def may_pass(self) -> bool:
        """Whether this request may be answered."""
        named = "Authorization" in self.request.headers
        return self.token is not None if named else super().may_pass()

    def may_stay(self) -> bool:
        """Whether what is open may go on: a token may have been removed meanwhile."""
        if self.token is None:
            return super().may_stay()
        return self.token in self.site.tokens.all()

    def refuse(self) -> None:
        """Ask for a token. Raises HTTPError."""
        raise HTTPError(401)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - Tornado's
        """Send the error, and how to log in if that is missing."""
        if status_code == UNAUTHORIZED:
            self.set_header("WWW-Authenticate", "Bearer")
        super().write_error(status_code, **kwargs)

    def prepare(self) -> None:
        """Refuse requests without permission, and queries with unknown parameters."""
        super().prepare()
        given = self.request.query_arguments
        for name, values in given.items():
            if name not in self.parameters:
                raise invalid(f"{name[:40]}: {_unknown(name, self.parameters)}")
            if len(values) > 1 and name not in REPEATED:
                raise invalid(f"{name}: may be given only once")

    def sentence(self, status: int) -> str:
        """Return the meaning of an HTTP status for a program."""
        key = f"error.api.{status}"
        if not self.texts.has(key):
            return super().sentence(status)
        return self.texts(key, methods=", ".join(self.methods))

    def check_token_of_page(self) -> None:
        """Require the page's token from browsers only: a program's own token can't be forged."""
        if "Authorization" not in self.request.headers:
            super().check_token_of_page()

    @property
    def source(self) -> Source:
        """The source of a command: a program, or a script of the page."""
        return "api" if self.token else "web"

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter of the query."""
        return str(self.get_query_argument(name, default))

    def span(self, since: str) -> tuple[datetime, datetime]:
        """Return the span of the query, by default from `since`. Raises CommandError."""
        begin, end = self._moment("since", since), self._moment("until", "0s")
        if begin > end:
            raise CommandError("invalid_payload", "since is after until")
        return begin, end

    def _moment(self, name: str, default: str) -> datetime:
        try:
            return moment(self.asked(name, default), datetime.now(UTC), self.site.zone)
        except ValueError as error:
            raise CommandError("invalid_payload", f"{name}: {error}") from None

    async def query(self, command: str, lane: Lane) -> Mapping[str, Any]:
        """Return the data of a read-only command."""
        request = Request(self.source, command)
        answer = await self.compute(lambda: self.site.runtime.commands.handle(request), lane)
        if answer.status == "error":
            raise ProblemError(CommandError(answer.code or "internal", answer.error or ""))
        return answer.data


class Unknown(Api):
    """Addresses of the API that do not exist."""

    def prepare(self) -> None:
        """Answer 404."""
        Handler.prepare(self)
        raise HTTPError(404)


def _unknown(name: str, known: Sequence[str]) -> str:
    """Return the sentence about an unknown parameter."""
    if not known:
        return "is not known here; there are no parameters"
    meant = similar(name, known)
    hint = f"did you mean {meant}? " if meant else ""
    return f"is not known here; {hint}known: {', '.join(known)}"


def invalid(sentence: str) -> ProblemError:
    """Return the error for an invalid query."""
    return ProblemError(CommandError("invalid_payload", sentence))


def error_shape(code: str, sentence: str) -> dict[str, Any]:
    """Return an error in the API's shape."""
    return {"status": "error", "error": sentence, "code": code, "data": {}}
