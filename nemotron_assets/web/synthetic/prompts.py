"""The five prompts of the synthetic web data. Their purposes are published (NeMo Curator), their wording is not.

Some prompts ask for a fixed first line, the `marker`. It shows that the answer is in the form that was asked for, and
is removed from the text.
"""

from __future__ import annotations

from dataclasses import dataclass

_ASSISTANT = "You are a helpful assistant."
_EXPERT = "You are an expert who writes accurately, keeps to the facts and reasons with care."


@dataclass(frozen=True)
class Prompt:
    """A prompt. The passage comes last, so that an engine computes the common beginning of all requests only once."""

    name: str
    task: str
    system: str = _ASSISTANT
    marker: str = ""

    def messages(self, passage: str, **values: object) -> tuple[tuple[str, str], ...]:
        """The chat messages about a passage. `values` fill the other placeholders of the task."""
        task = self.task.format(marker=self.marker, **values)
        return ("system", self.system), ("user", f"{task}\n\nPassage:\n{passage}")


WIKIPEDIA = Prompt(
    "wikipedia",
    marker="Encyclopedia version of the passage:",
    task="""\
Rewrite the passage below in clear, polished English, in the tone of a Wikipedia article. Say everything it says, but \
vary the words and the order of the sentences.
Begin with the line "{marker}" and go on with the new text in the next line.""",
)

DIVERSE_QA = Prompt(
    "diverse_qa",
    marker="Questions and answers about the passage:",
    task="""\
Read the passage below and write up to {questions} questions about it, each with its answer.
- Test different skills, and vary the form of the questions: yes or no; open questions (what, who, when, where, why, \
how); multiple choice with the options listed in the question; comparison; reading comprehension; problem solving.
- Use only what the passage says. Be concise, clear and complete: each pair must make sense without the others.
- Write plain text without Markdown.
Begin with the line "{marker}" and then give every pair as:
- Question: the question
  Answer: the answer""",
)

DISTILL = Prompt(
    "distill",
    system=_EXPERT,
    marker="Condensed version of the passage:",
    task="""\
Condense the passage below into a shorter text that is still complete.
- Keep what matters: facts, numbers, names, technical terms, examples and the steps of an argument.
- Add nothing that the passage does not say.
- Write plain text without Markdown.
Begin with the line "{marker}" and go on with the new text in the next line.""",
)

EXTRACT_KNOWLEDGE = Prompt(
    "extract_knowledge",
    task="""\
Write down the knowledge in the passage below as textbooks and encyclopedias of the arts, the sciences and the \
professions would.
- Leave out whatever teaches nothing: advertising, navigation, greetings, opinions without reasons.
- Keep the examples and the evidence that support the knowledge.
- Write paragraphs of plain text: no titles, no notes, no remarks about the passage or about your work.""",
)

KNOWLEDGE_LIST = Prompt(
    "knowledge_list",
    task="""\
List what the passage below teaches: facts, concrete details, concepts and numbers, in a sensible order. Every item is \
one line of plain text that starts with a dash, says much in few words and makes sense without the others. Add nothing \
that the passage does not say, no headings, and no words before or after the list.""",
)

PROMPTS = {p.name: p for p in (WIKIPEDIA, DIVERSE_QA, DISTILL, EXTRACT_KNOWLEDGE, KNOWLEDGE_LIST)}
