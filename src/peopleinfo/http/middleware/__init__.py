"""Steps that every request passes on its way to a route: authentication, limits, audit and headers."""
