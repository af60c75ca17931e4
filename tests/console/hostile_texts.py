"""Texts that attack a page that interprets them. Executed code sets `window.harmed`."""

from __future__ import annotations

from typing import Final

_RUN: Final = "window.harmed=1"
TEXTS: Final = (
    f"<script>{_RUN}</script>", f"<SCRIPT>{_RUN}</SCRIPT>", f"<script src=data:text/javascript,{_RUN}></script>", f"<script type=module>{_RUN}</script>",
    f"</script><script>{_RUN}</script>", f"</title><script>{_RUN}</script>", f"</textarea><script>{_RUN}</script>", f"</template><script>{_RUN}</script>",
    f"</style><script>{_RUN}</script>", f"--><script>{_RUN}</script>", f"]]><script>{_RUN}</script>", f"<scr<script>ipt>{_RUN}</scr</script>ipt>",
    f"<img src=x onerror={_RUN}>", f"<img src=x onerror='{_RUN}'//", f'"><img src=x onerror={_RUN}>', f"'><img src=x onerror={_RUN}>",
    f"<svg onload={_RUN}>", f"<svg><script>{_RUN}</script></svg>", f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>", f"<svg/onload={_RUN}>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={_RUN}>", f"<body onload={_RUN}>", f"<iframe srcdoc='<script>parent.{_RUN}</script>'>",
    f"<iframe src='javascript:parent.{_RUN}'>", f"<object data='javascript:{_RUN}'>", f"<embed src='javascript:{_RUN}'>", f"<details open ontoggle={_RUN}>",
    f"<video><source onerror={_RUN}>", f"<audio src=x onerror={_RUN}>", f"<input autofocus onfocus={_RUN}>", f"<select autofocus onfocus={_RUN}>",
    f"<marquee onstart={_RUN}>", f"<a href='javascript:{_RUN}'>x</a>", f"javascript:{_RUN}", f"JaVaScRiPt:{_RUN}", f"data:text/html,<script>{_RUN}</script>",
    f"<base href='javascript:{_RUN}//'>", "<meta http-equiv=refresh content='0;url=https://example.org'>", "<link rel=stylesheet href=//example.org/x.css>",
    "<style>*{background:url(https://example.org/x)}</style>", "<form action=https://example.org><button>x", f'" onmouseover="{_RUN}', f"' onfocus='{_RUN}' autofocus='",
    f"` + ({_RUN}) + `", f"${{{_RUN}}}", f"{{{{{_RUN}}}}}", f"{{{{constructor.constructor('{_RUN}')()}}}}", f"{{% {_RUN} %}}", "{{7*7}}", "#{7*7}",
    f"');{_RUN};//", f'");{_RUN};//', f"\\u003cscript\\u003e{_RUN}\\u003c/script\\u003e", f"&lt;script&gt;{_RUN}&lt;/script&gt;",
    f"&#60;script&#62;{_RUN}&#60;/script&#62;", f"%3Cscript%3E{_RUN}%3C/script%3E", "__proto__", "constructor", "toString", "hasOwnProperty",
    "<plaintext>", "<!--", '=HYPERLINK("https://example.org")', "🧨\u200d🔥 x\u0300\u0301\u0302\u0303", "Robert'); DROP TABLE people;--",
)  # fmt: skip
assert len(set(TEXTS)) >= 60
