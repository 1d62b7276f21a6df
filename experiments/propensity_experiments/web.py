from starlette.applications import Starlette


def pages(ledger):
    return Starlette()
