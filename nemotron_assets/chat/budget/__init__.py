"""The thinking budget: how many tokens a model may think before it answers, with the same meaning everywhere.

- `tags` reads the tags of thoughts and tool calls in the tokens of any tokenizer.
- `automaton` is the meaning: it says before every token which token is forced, or which tokens are impossible.
- `transformers_processor` and `vllm_processor` apply the automaton where tokens are sampled.
- `two_requests` is the published client for an endpoint that has no such processor.
"""

#: The processor as vLLM wants to have it named.
PROCESSOR = "nemotron_assets.chat.budget.vllm_processor:ThinkingBudget"
