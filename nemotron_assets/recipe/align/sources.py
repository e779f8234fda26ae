"""The tables of SFT data that the post-training may read. Declarations of tables import this module, so it loads
neither the recipe nor pydantic."""

SFT_TABLES = (
    "sft.math_sft", "sft.code_sft", "sft.general_sft", "sft.stem_questions", "sft.academic_qa",
    "sft.fundamental_reasoning", "sft.multilingual_sft", "sft.procedural",
)  # fmt: skip
