"""The description of the API: its operations, the types of its bodies, and the OpenAPI document made from them."""
