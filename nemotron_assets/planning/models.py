"""Estimates of the models that the graph uses: language models, scorers of quality, the n-gram model."""

from __future__ import annotations

from nemotron_assets.planning import sources
from nemotron_assets.planning.figures import Unknown, Value, known
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates
from nemotron_assets.planning.sources import rates


def _model(asset: str, versions: int = 1) -> None:
    """Register the estimator of a table of models that are fetched, unpacked, or trained in seconds."""

    @estimates(asset)
    def estimate(plan: Plan) -> Estimate:
        rows = known(f"versions in {asset}", versions, "one per model")
        return Estimate(rows=rows, bytes=plan.stored(asset, rows), core_seconds=plan.taking(asset))


@estimates("models.generator")
def generator(plan: Plan) -> Estimate:
    """The language model: unpacked if it is the embedded one, else fetched, or a name at an endpoint."""
    embedded = plan.recipe.llm.engine == "vllm" and plan.recipe.llm.model == "embedded"
    spent = plan.taking("models.generator" if embedded else "models.math_writer")
    return Estimate(rows=ONE, bytes=plan.stored("models.generator", ONE), core_seconds=spent)


_model("models.math_writer")
_model("models.perplexity")
_model("models.quality_scorers", 3)
_model("models.math_scorers")


def classifying(texts: Value, tokens: int, models: int = 1) -> Value:
    """Seconds of one GPU for published classifiers, each reading so many tokens of every text."""
    if "classifier" not in rates()["models"]:
        return Unknown("size of the classifiers: benchmarks/rates.yaml has no entry for them under models")
    work = texts * (2.0 * tokens * models) * sources.size_of_model("classifier")
    return work / (sources.rate("gpu.flops") * sources.rate("gpu.classifier_share"))
