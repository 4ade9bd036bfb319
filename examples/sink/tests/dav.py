"""A WebDAV server in memory, with the rules that this sink lives by (RFC 4918)."""

import base64
from urllib.parse import unquote, urlsplit

from aiohttp import web

USER, PASSWORD = "stam", "geheim"


class DavServer:
    """Collections and files by their paths; a status in `refuse` is the answer to a method, instead of doing it."""

    def __init__(self) -> None:
        self.collections = {"/verzoeken"}
        self.files: dict[str, bytes] = {}
        self.refuse: dict[str, int] = {}
        self.asked: list[str] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    def below(self, path: str) -> dict[str, bytes]:
        """The files in a collection, by their paths in it."""
        return {
            name.removeprefix(f"{path}/"): content
            for name, content in self.files.items()
            if name.startswith(f"{path}/")
        }

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            return web.Response(status=401)
        path = request.path.rstrip("/")
        self.asked.append(f"{request.method} {path}")
        if request.method in self.refuse:
            return web.Response(status=self.refuse[request.method])
        return getattr(self, f"_{request.method.lower()}")(path, request, body)

    def _propfind(self, path: str, _request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=207 if path in self.collections else 404)

    def _mkcol(self, path: str, _request: web.Request, _body: bytes) -> web.Response:
        if path in self.collections:
            return web.Response(status=405)
        if path.rpartition("/")[0] not in self.collections:
            return web.Response(status=409)
        self.collections.add(path)
        return web.Response(status=201)

    def _put(self, path: str, _request: web.Request, body: bytes) -> web.Response:
        if path.rpartition("/")[0] not in self.collections:
            return web.Response(status=409)
        self.files[path] = body
        return web.Response(status=201)

    def _get(self, path: str, _request: web.Request, _body: bytes) -> web.Response:
        if path not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[path])

    def _delete(self, path: str, _request: web.Request, _body: bytes) -> web.Response:
        self._remove(path)
        return web.Response(status=204)

    def _move(self, path: str, request: web.Request, _body: bytes) -> web.Response:
        target = unquote(urlsplit(request.headers["Destination"]).path)
        if path not in self.collections:
            return web.Response(status=404)
        if target in self.collections and request.headers.get("Overwrite") == "F":
            return web.Response(status=412)
        moved = self.below(path)
        self._remove(path)
        self.collections.add(target)
        self.files |= {f"{target}/{name}": content for name, content in moved.items()}
        return web.Response(status=201)

    def _remove(self, path: str) -> None:
        gone = {one for one in (*self.collections, *self.files) if one == path or one.startswith(f"{path}/")}
        self.collections -= gone
        self.files = {name: content for name, content in self.files.items() if name not in gone}
