"""An import contract of our own: from outside, an app shows its public modules and nothing else."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class PublicModulesContract(Contract):
    """Imports between apps go to public modules only; what is not named as public is private.

    import-linter's own ``protected`` contract names what is private, so a new module starts out open to everybody. This one
    names what is public, so it starts out closed.

    Options
    -------
    apps
        The packages whose insides are private.
    public
        Modules that every app may show, relative to the app; ``app:module`` for those of one app only. ``*`` matches.
    composition
        Modules that put the apps together and may see all of them.
    """

    type_name = "public"

    apps = fields.ListField(subfield=fields.StringField())
    public = fields.ListField(subfield=fields.StringField())
    composition = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        broken = []
        for importer in sorted(graph.modules):
            if any(_within(importer, top) for top in self.composition):  # type: ignore[attr-defined]
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                owner = self._app_of(imported)
                if owner is None or owner == self._app_of(importer) or self._is_public(owner, imported):
                    continue
                details = graph.get_import_details(importer=importer, imported=imported)
                line = min((detail["line_number"] for detail in details), default=0)
                broken.append({"importer": importer, "imported": imported, "line": line})
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for fault in check.metadata["broken"]:
            output.print_error(f"{fault['importer']}:{fault['line']} imports {fault['imported']}, which is private to its app.")
            output.new_line()
        output.print_error("Use the app's services or selectors, or make the module public in .importlinter with its reason.")

    def _app_of(self, module: str) -> str | None:
        apps: Any = self.apps
        return next((app for app in apps if _within(module, app)), None)

    def _is_public(self, app: str, module: str) -> bool:
        if module == app:
            return True  # the package itself: what it re-exports in __all__
        names: Any = self.public
        inside = module.removeprefix(app + ".")
        for name in names:
            owner, _, own = name.rpartition(":")
            if (not owner or owner == app) and (fnmatchcase(inside, own) or _within(inside, own)):
                return True
        return False


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")
