"""The API, a module for each kind of thing: its routes, and what `openapi.json` says of them."""
