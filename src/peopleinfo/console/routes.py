"""The route table of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.console import static_files
from peopleinfo.console.login import LoginResource
from peopleinfo.console.oidc_login import ProviderResource
from peopleinfo.console.pages import PAGES, PageNotFoundResource, PageResource, RootResource
from peopleinfo.console.rendering import LOGIN_PATH, PROVIDER_PATH

if TYPE_CHECKING:
    from peopleinfo.http.falcon_app import App
    from peopleinfo.http.services import Services


def add_routes(app: App, services: Services, *, body_timeout: float) -> None:
    """Add the console to the app and redirect / to it, with the login at an identity provider if one is configured."""
    flow, authenticator, sessions = services.login_flow, services.authenticator, services.sessions
    rate_limiter = services.rate_limiter
    app.add_route("/", RootResource())
    for path, page in PAGES.items():
        app.add_route(path, PageResource(page, authenticator, sessions, has_provider=flow is not None))
    login = LoginResource(
        authenticator, sessions, rate_limiter, has_provider=flow is not None, body_timeout=body_timeout
    )
    app.add_route(LOGIN_PATH, login)
    app.add_route("/console/sign-out", login, suffix="out")
    if flow is not None:
        provider = ProviderResource(flow, authenticator, sessions, rate_limiter)
        app.add_route(PROVIDER_PATH, provider)
        app.add_route(f"{PROVIDER_PATH}/back", provider, suffix="back")
    app.add_route(static_files.ROOT + "/{digest}/{name}", static_files.AssetResource())
    app.add_route("/console/{missing:path}", PageNotFoundResource())
