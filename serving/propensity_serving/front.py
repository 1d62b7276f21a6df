"""The index page of the service."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from starlette.responses import HTMLResponse

_START = 'SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", validatorUrl: null })'

INDEX = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Propensity</title>
<link rel="stylesheet" href="static_content/swagger-ui.css">
<style>body {{ margin: 0; font-family: system-ui, sans-serif }} header {{ padding: 1rem 1.5rem; background: #17324d }}
header a {{ color: #fff; margin-right: 1.5rem }} header strong {{ color: #fff; margin-right: 2rem }}
.key {{ margin: 1rem 1.5rem }}</style>
</head>
<body>
<header><strong>Propensity</strong><a href="experiments/">Experiments</a><a href="v1/models">Model</a>
<a href="metrics">Metrics</a><a href="openapi.json">OpenAPI</a></header>
<p class="key">What stands behind these links, and the description below, asks for a key with the scope read: in a
browser as the password, with any user name.</p>
<main id="api"><noscript>The API is described in <a href="openapi.json">openapi.json</a>.</noscript></main>
<script src="static_content/swagger-ui-bundle.js"></script>
<script>{_START}</script>
</body>
</html>
"""

_START_HASH = base64.b64encode(hashlib.sha256(_START.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; script-src 'self' 'sha256-{_START_HASH}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The page may load its own scripts and ask its own service; it sets styles in elements."""


class FrontPage:
    """Serves the index page in place of BentoML's, which loads a script from outside."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer ``/``; pass everything else on."""
        if scope["type"] == "http" and scope["path"] == "/":
            await HTMLResponse(INDEX, headers={"content-security-policy": POLICY})(scope, receive, send)
        else:
            await self.app(scope, receive, send)
