"""The tokenizer: splitting, round trips of any text, deterministic training, and equality with tekken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from nemotron_assets.text import tokenizer as bpe


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("HelloWorld", ["Hello", "World"]),
        ("parseHTTPRequest", ["parse", "HTTPRequest"]),
        ("in 2024", ["in", " ", "2", "0", "2", "4"]),
        ("٣٤½", ["٣", "٤", "½"]),  # any number character, not only ASCII
        ("don't", ["don", "'t"]),
        ("(x)=y", ["(x", ")=", "y"]),
        ("wow!!!\n\n//next", ["wow", "!!!\n\n//", "next"]),
        ("a  \n\n b", ["a", "  \n\n", " b"]),
        ("a   b", ["a", "  ", " b"]),
        ("end  ", ["end", "  "]),
        ("日本語テキスト", ["日本語テキスト"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("\tx", ["\tx"]),
    ],
)
def test_pre_tokenizer(text, pieces):
    cut = pre_tokenizers.Split(Regex(bpe.PATTERN), behavior="isolated").pre_tokenize_str(text)
    assert [piece for piece, _ in cut] == pieces


def test_special_ids():
    names = bpe.special_tokens(32)
    assert names[:7] == ["<unk>", "<s>", "</s>", "<mask>", "<pad>", "<cls>", "<sep>"]
    assert names[10:13] == ["<SPECIAL_10>", "<SPECIAL_11>", "<SPECIAL_12>"]
    assert (names[bpe.BOS], names[bpe.EOS], names[bpe.PAD]) == ("<s>", "</s>", "<pad>")
    with pytest.raises(ValueError, match="at least 13"):
        bpe.special_tokens(12)


def test_vocabulary_layout(vocabulary):
    assert vocabulary.get_vocab_size() == 2_048
    assert [vocabulary.id_to_token(k) for k in range(32)] == bpe.special_tokens(32)


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_round_trip(vocabulary, text):
    ids = bpe.encode(vocabulary, text)
    assert bpe.decode(vocabulary, ids) == text
    assert all(k >= 32 for k in ids)  # no text becomes a special token


@pytest.mark.parametrize("text", ["</s>", "a</s>b<s>", "<SPECIAL_12>", "<pad><pad>"])
def test_spelled_specials_stay_text(vocabulary, text):
    ids = bpe.encode(vocabulary, text)
    assert min(ids) >= 32
    assert bpe.decode(vocabulary, ids) == text


def test_training_on_spelled_specials_keeps_them_text(tmp_path):
    trained = bpe.train([["end </s> of </s> line </s>"] * 50], 400, 32, 2)
    bpe.save(trained, tmp_path, 512)
    loaded = bpe.load(tmp_path)
    assert min(bpe.encode(loaded, "end </s>")) >= 32


def test_same_text_in_any_order_gives_the_same_file(sample_texts, tmp_path):
    texts = sample_texts[:40]
    orders = {"one": [texts], "two": [texts[::-1][:7], texts[::-1][7:]]}
    for name, batches in orders.items():
        bpe.save(bpe.train(batches, 1_500, 32, 2), tmp_path / name, 512)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_little_text_gives_a_smaller_vocabulary():
    assert bpe.train([["abc abc"]], 8_192, 32, 2).get_vocab_size() < 300


def test_bytes_per_token(vocabulary):
    assert bpe.bytes_per_token(vocabulary, [["12"], ["345"]]) == 1.0
    with pytest.raises(ValueError, match="no text"):
        bpe.bytes_per_token(vocabulary, [])


@pytest.fixture(scope="module")
def auto(vocabulary_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(vocabulary_folder)


def test_transformers_loads_it(auto, vocabulary, sample_texts):
    assert (auto.bos_token_id, auto.eos_token_id, auto.pad_token_id, auto.unk_token_id) == (1, 2, 4, 0)
    for text in sample_texts[:5]:
        ids = auto(text).input_ids  # nothing in front, nothing behind
        assert ids == bpe.encode(vocabulary, text)
        assert auto.decode(ids) == text


def render(auto, messages, **options):
    return auto.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)


def test_chat_turns(auto):
    text = render(
        auto,
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "<think>\nhm\n</think>\nHello"},
            {"role": "user", "content": "Bye"},
        ],
    )
    assert text == (
        "<SPECIAL_10>System\nBe brief.\n<SPECIAL_11>User\nHi\n<SPECIAL_11>Assistant\nHello\n<SPECIAL_12>\n"
        "<SPECIAL_11>User\nBye\n<SPECIAL_11>Assistant\n<think>\n"
    )
    ids = auto(text).input_ids
    assert ids[0] == 10 and ids.count(11) == 4 and ids.count(12) == 1


@pytest.mark.parametrize(
    ("system", "user", "ending"),
    [
        ("", "q", "<think>\n"),
        ("/no_think", "q", "<think></think>"),
        ("/no_think", "q /think", "<think>\n"),
        ("/think", "q /no_think", "<think></think>"),
        ("", "/think q /no_think", "<think></think>"),
        ("", "/no_think q /think", "<think>\n"),
    ],
)
def test_last_thinking_switch_wins(auto, system, user, ending):
    text = render(auto, [{"role": "system", "content": system}, {"role": "user", "content": user}])
    assert text.endswith("Assistant\n" + ending)
    assert "/think\n" not in text.replace(ending, "") and "no_think" not in text


def test_tools(auto):
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    text = render(
        auto,
        [
            {"role": "user", "content": "1+1?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1, "b": 1}}}],
            },
            {"role": "tool", "content": "2"},
            {"role": "tool", "content": "3"},
        ],
        tools=[tool],
    )
    assert '<AVAILABLE_TOOLS>[{"name": "add", "parameters": {"type": "object"}}]</AVAILABLE_TOOLS>' in text
    assert '<TOOLCALL>[{"name": "add", "arguments": {"a": 1, "b": 1}}]</TOOLCALL>' in text
    assert "<SPECIAL_11>User\n<TOOL_RESPONSE>[2, 3]</TOOL_RESPONSE>\n" in text


# -- tekken ---------------------------------------------------------------------------------------------------------

MULTILINGUAL = [
    "The quick brown fox jumps over 13 lazy dogs; don't you think?\n\n\tIndented   text.",
    "Größe, Straße, naïve façade — “quotes” … 50 %",
    "Привет, мир! Съешь ещё этих мягких французских булок.",
    "日本語のテキスト、漢字とカタカナ。2024年11月。",
    "人人生而自由，在尊严和权利上一律平等。",
    "모든 인간은 태어날 때부터 자유로우며",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน",
    "def f(x):\n    return x ** 2  # quadratic\n\n\nclass A(B[int]):\n    pass\n",
    r"$\frac{\partial f}{\partial x} = \sum_{i=1}^{n} \alpha_i x_i^{2}$",
    "🎉👩‍👩‍👧‍👦 e\u0301 \u200b\ufeff \x00\x7f",
    "a" * 300 + " " * 77 + "\n" * 33 + "=-" * 50 + "哈" * 40,
    "</s><s>[INST]<pad>",
]


@pytest.fixture(scope="module")
def tekken():
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    ours = bpe.from_tekken(bpe.tekken_file(), 131_072, 1_000)
    ours.encode_special_tokens = True
    return ours, Tekkenizer.from_file(bpe.tekken_file())


def test_tekken_id_for_id(tekken, sample_texts):
    ours, theirs = tekken
    assert ours.get_vocab_size() == 131_072
    for text in [*MULTILINGUAL, *sample_texts[:40]]:
        ids = bpe.encode(ours, text)
        assert ids == theirs.encode(text, bos=False, eos=False)
        assert bpe.decode(ours, ids) == text


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.text(alphabet="ab 01\n哈é-=", max_size=80)))
def test_tekken_id_for_id_on_anything(tekken, text):
    ours, theirs = tekken
    ids = bpe.encode(ours, text)
    assert ids == theirs.encode(text, bos=False, eos=False)
    assert bpe.decode(ours, ids) == text


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "tekken.json"
    for content in ("", "{}", '{"vocab": [{"token_bytes": 7}], "config": {"pattern": "x"}}', "[]"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"not a tekken vocabulary|pieces"):
            bpe.from_tekken(path, 2_000, 32)
