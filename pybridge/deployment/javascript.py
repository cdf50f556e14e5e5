"""The JavaScript of a deployed package."""

from __future__ import annotations

from collections.abc import Iterable

from pybridge.errors import SetupError
from pybridge.loading.operations import OPERATIONS_FILE
from pybridge.runtime.bundle import find_bundle

_BROWSER_BUNDLE = "lib/browser/bundle.mjs"
"""The package for web pages as one module, which ``npm run build`` makes."""

BROWSER_FILE = "browser.mjs"
"""What a bundler takes for a web page."""


def package_sources() -> dict[str, bytes]:
    """Everything of a package that does not depend on the model, by name.

    Raises:
        SetupError: The files that belong to pybridge are missing.
    """
    node_runner = find_bundle().node_runner
    folder = node_runner / "package"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    server = sorted((node_runner / "server").rglob("*"))
    files |= {path.relative_to(node_runner).as_posix(): path.read_bytes() for path in server if path.is_file()}
    files["server/operations.txt"] = OPERATIONS_FILE.read_bytes()
    if _BROWSER_BUNDLE not in files:
        raise SetupError(f"{folder} lacks files of the package", hint="Reinstall pybridge; in a checkout run: npm run build")
    return files


def browser_entry(files: Iterable[str]) -> bytes:
    """The module that a web page imports.

    Each file of the model is named in an expression of its own, which bundlers recognize: they copy the file and put its new
    address there.

    Args:
        files: Names of what `load` fetches, relative to the package.
    """
    addresses = "\n".join(f"  '{name}': new URL('./{name}', import.meta.url).href," for name in files)
    return f"""import {{ loaderOf, DeployError }} from './{_BROWSER_BUNDLE}';

export {{ pixelsOf, DeployError, ImageError, IntegrityError }} from './{_BROWSER_BUNDLE}';

export const load = async (options) => loaderOf(options?.folder === undefined ? here() : {{}})(options);

function here() {{
  try {{
    return addresses();
  }} catch {{
    // Bundles in the form of a script know no address of their own.
    const message = 'This bundle does not know where it lies: say where the package is served with load({{ folder }})';
    throw new DeployError(message, 'ERR_RUNTIME');
  }}
}}

const addresses = () => ({{
{addresses}
}});
""".encode()
