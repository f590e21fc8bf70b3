"""The page: one file of HTML with all pictures in it, which loads nothing and runs no script."""

from .style import escape, inline

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1d; --muted: #5c5c61; --faint: #d7d7db; --paper: #ffffff; --link: #005a9c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf0; --muted: #a5a5ad; --faint: #3a3a40; --paper: #17171a; --link: #7cc0ff; }
  figure { --ink: #ececf0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 0 16px 48px; max-width: 1200px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 24px 0 8px; }
h2 { font-size: 1.25rem; margin: 48px 0 8px; padding-top: 12px; border-top: 1px solid var(--faint); }
p, li { max-width: 75ch; }
nav ol { columns: 22ch; padding-left: 2em; margin: 8px 0; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 32px 40px; align-items: start; }
figure { margin: 0; max-width: 580px; }
figcaption { color: var(--muted); font-size: 14px; }
svg { display: block; width: 100%; height: auto; }
.wide { overflow-x: auto; margin: 8px 0; }
table { border-collapse: collapse; font-size: 14px; line-height: 1.35; }
th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--faint); overflow-wrap: normal; }
tbody th { font-weight: normal; color: var(--muted); }
summary { cursor: pointer; padding: 6px 0; }
code { background: var(--faint); padding: 1px 4px; border-radius: 3px; font-size: 14px; }
.missing { border-left: 4px solid #e69f00; padding-left: 10px; }
"""


def page(machines, sections):
    title = "attn on " + " and ".join(dict.fromkeys(machine.name for machine in machines))
    links = "".join(f'<li><a href="#{s.name}">{escape(s.heading)}</a></li>' for s in sections)
    body = "\n".join(map(section, sections))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>How fast attn computes the attention of transformer models here, and how fast it could be. <em>Attainable</em> is the time
that the products and exponentials of a call take at the rates measured on this CPU, or that reading its tensors once takes, if
that is longer. A share above 100\u00a0% means that a rate was measured too low, or that caches served what counts as memory.</p>
<nav aria-label="Contents"><ol>{links}</ol></nav>
<main>
{body}
</main>
</body>
</html>
"""


def not_measured(what, command, alone):
    other = f", <code>{escape(alone)}</code> that alone" if alone else ""
    return f'<p class="missing">Not measured: {escape(what)}. <code>{escape(command)}</code> measures it{other}.</p>'


def section(s):
    said = "".join(f"<p>{f'<b>{escape(owner)}.</b> ' if owner else ''}{escape(text)}</p>" for owner, text in s.said)
    missing = "".join(not_measured(*what) for what in s.missing)
    pictures = "".join(f"<figure>{inline(p)}</figure>" for p in s.pictures)
    pictures = f'<div class="pictures">{pictures}</div>' if pictures else ""
    return f'<section><h2 id="{s.name}">{escape(s.heading)}</h2><p>{escape(s.how)}</p>{said}{missing}{pictures}{s.html}</section>'
