"""Assets of academic documents, of questions about their passages, and of long documents with questions."""

import dagster as dg

from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.academic.tables import ACADEMIC_DOCUMENTS, ACADEMIC_QA, LONGDOC_QA
from nemotron_assets.table.asset import RETRIES, table_asset
from nemotron_assets.web.quality.tables import CURATED
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# A retry goes on where the step failed, because finished generations are in the ledger.
_WRITES = {"kinds": {"vllm"}, "pool": POOL, "retry_policy": RETRIES}


@table_asset(
    ACADEMIC_DOCUMENTS,
    recipe=("sft.academic.documents", "blend.held_out_share"),
    code="2",  # the address of a page decides whether it is held out
    ins={"curated": CURATED, "nemotron_cc_math": NEMOTRON_CC_MATH, "generator": GENERATOR},
    **_WRITES,
)
def academic_documents(
    context: dg.AssetExecutionContext,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
    **texts: Reader,
):
    """Documents that teach a science: a language model labels the subject, the level and the educational quality of web
    documents and pages on mathematics, and the recipe says which are kept (Nano 2 §2.2.2). Held-out documents are not
    among them."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.sft.academic import documents, report

    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    scans = {reader.table.full_name: reader.scan() for reader in texts.values()}
    rows, tally = documents.write(scans, recipe.sft.academic.documents, recipe.blend.held_out_share, writer)
    context.add_output_metadata(report.documents(tally, writer.rate))
    return rows


@table_asset(
    ACADEMIC_QA,
    recipe="sft.academic.qa",
    code="2",  # answers that a limit of the grammar ended are rejected
    ins={"academic_documents": ACADEMIC_DOCUMENTS, "generator": GENERATOR},
    **_WRITES,
)
def academic_qa(
    context: dg.AssetExecutionContext,
    academic_documents: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Questions about passages of academic documents, multiple choice and free response, with an answer and its
    justification. The prompt also shows the most similar snippets of other documents. Votes or a judge decide the
    status of an answer (Nano 2 §2.2.2)."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.sft.academic import questions

    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    rows, tally = questions.write(academic_documents.scan(), recipe.sft.academic.qa, writer)
    context.add_output_metadata(tally.metadata(writer.rate))
    return rows


@table_asset(
    LONGDOC_QA,
    recipe="sft.academic.longdoc",
    code="2",  # answers that a limit of the grammar ended are rejected
    ins={"academic_documents": ACADEMIC_DOCUMENTS, "generator": GENERATOR},
    **_WRITES,
)
def longdoc_qa(
    context: dg.AssetExecutionContext,
    academic_documents: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Long academic documents followed by questions about a tenth of their pieces, with the answers: for the training
    on long context (Nano 2 §2.6). A judge decides the status of every pair."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.sft.academic import longdoc

    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    rows, tally = longdoc.write(academic_documents.scan(), recipe.sft.academic.longdoc, writer)
    context.add_output_metadata(tally.metadata(writer.rate))
    return rows


ASSETS = [academic_documents, academic_qa, longdoc_qa]
