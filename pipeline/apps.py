from django.apps import AppConfig


class PipelineConfig(AppConfig):
    name = "pipeline"

    def ready(self) -> None:
        from catalog.registry import on_contract_change, promise_state
        from controlplane.backup.registry import after_restore, leased
        from controlplane.outbox.registry import ticker
        from pipeline import overlays, panels, tasks  # noqa: F401  (over the lineage graph; sidebar and search)
        from pipeline.selectors import table_names
        from pipeline.selectors_promises import promise_states
        from pipeline.services.moving import addresses_follow
        from pipeline.services.operations import contract_changed
        from pipeline.subject_holdings import register_holdings

        ticker("pipeline.landing", 0.5)(tasks.tick_landing)
        ticker("pipeline.runs", 5.0)(tasks.tick_runs)
        ticker("pipeline.maintenance", 30.0)(tasks.tick_maintenance)
        promise_state(promise_states)
        on_contract_change(contract_changed)
        register_holdings()
        leased("pipeline.tables", table_names)
        after_restore("pipeline.addresses")(addresses_follow)
