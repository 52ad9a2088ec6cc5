"""Names of chat models and of those who make them, by maker."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Maker:
    """One maker of models; every field is a regular expression.

    Attributes:
        names: Names that only its models have.
        shared_names: Names that people, animals or other things have too.
        makers: Names of the maker that stand for little else than language models.
        companies: Names of the maker where it is a company with people who speak for themselves.
    """

    names: str = ""
    shared_names: str = ""
    makers: str = ""
    companies: str = ""

    @property
    def every_name(self) -> str:
        """All of the names, of models and of the maker."""
        return "|".join(one for one in (self.names, self.shared_names, self.makers, self.companies) if one)


MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "OpenAI": Maker(
            names=r"(?i:chat ?gpt)(?:[- ]?[345](?:\.\d)?o?)?|(?i:gpt)[- ]?[345](?:\.\d)?o?(?:[- ](?i:turbo|mini))?"
            r"|InstructGPT|チャット ?GPT",
            makers=r"(?i:open ?ai)|オープン ?AI",
        ),
        "Anthropic": Maker(
            shared_names=r"Claude(?: ?[\d.]+)?(?: (?:Instant|Haiku|Sonnet|Opus))?|クロード",
            makers=r"(?i:anthropic)|アンソロピック",
        ),
        "Alibaba": Maker(
            names=(
                r"(?i:qwen)[\d.]*(?:-\w+)*|(?i:tongyi)(?: ?(?i:qianwen))?|(?i:qianwen)|QwQ|通義千問|通义千问|クウェン"
            ),
            companies=r"(?i:alibaba)(?: (?i:cloud|group))?|アリババ(?:・?クラウド|グループ)?|阿里(?:云|巴巴)",
        ),
        "Google": Maker(
            shared_names=r"Gemini|Bard|Gemma|PaLM|LaMDA|ジェミニ|ジェミナイ",
            companies=r"Google(?: DeepMind| AI)?|DeepMind|グーグル",
        ),
        "Meta": Maker(
            shared_names=r"L[Ll]a[Mm][Aa](?:[- ]?[\d.]+)?(?:[- ][Cc]hat)?|Meta AI|ラマ",
            companies=r"Meta(?: AI| Platforms)?|Facebook|メタ社?",
        ),
        "DeepSeek": Maker(
            names=r"(?i:deep ?seek)(?:[- ](?:[VR][\d.]+|Chat|Coder))?|ディープシーク",
            makers=r"(?i:deep ?seek)(?: ?AI)?|ディープシーク|深度求索",
        ),
        "Mistral": Maker(
            names=r"Mixtral|Magistral",
            shared_names=r"Mistral(?: (?:7B|Large|Small|Medium|Nemo))?|ミストラル",
            makers=r"Mistral ?AI|ミストラルAI",
        ),
        "xAI": Maker(shared_names=r"Grok(?:[- ]?\d)?|グロック", makers=r"xAI"),
        "Microsoft": Maker(
            shared_names=r"(?:Microsoft |GitHub |Bing )?Copilot|Bing(?: Chat| AI)?|Phi(?:-[1-4])?|コパイロット",
            companies=r"Microsoft|GitHub|マイクロソフト",
        ),
        "Zhipu": Maker(names=r"ChatGLM[\w.-]*|GLM-\d[\w.-]*", makers=r"Zhipu(?: ?AI)?|Z\.ai|智谱|智譜"),
        "Moonshot": Maker(shared_names=r"Kimi(?: Chat| K\d)?", makers=r"Moonshot ?AI|月之暗面"),
        "Baidu": Maker(names=r"ERNIE(?: Bot)?|文心一言", companies=r"Baidu|百度|バイドゥ"),
        "ByteDance": Maker(names=r"Doubao|豆包", companies=r"ByteDance|バイトダンス|字节跳动"),
        "Tencent": Maker(names=r"Hunyuan|混元", companies=r"Tencent|テンセント|腾讯"),
        "Cohere": Maker(shared_names=r"Command[- ]R\+?|Command A|Aya", makers="Cohere"),
        "Amazon": Maker(shared_names=r"Alexa|Nova|Titan|アレクサ", companies=r"Amazon|アマゾン"),
        "Apple": Maker(shared_names="Siri", companies=r"Apple|アップル"),
        "IBM": Maker(shared_names=r"Granite|Watson", companies="IBM"),
        "NVIDIA": Maker(names=r"Nemotron[\w-]*", companies=r"N[Vv][Ii][Dd][Ii][Aa]|エヌビディア"),
        "LG": Maker(names="EXAONE", companies=r"LG AI Research"),
        "LMSYS": Maker(shared_names=r"Vicuna(?:-\d+B)?", makers="LMSYS"),
        "LAION": Maker(names="OpenAssistant", makers="LAION"),
        "Shanghai AI Laboratory": Maker(names=r"InternLM\d?", makers=r"Shanghai AI Lab(?:oratory)?"),
        "01.AI": Maker(names=r"Yi-\d+B[\w-]*|Yi-Large", makers=r"01\.AI|零一万物"),
        "Baichuan": Maker(names=r"Baichuan\d?", makers=r"Baichuan(?: Intelligence)?"),
        "TII": Maker(shared_names=r"Falcon(?:-\d+B)?", makers="Technology Innovation Institute"),
        "Inflection": Maker(shared_names="Pi", makers="Inflection AI"),
        "Perplexity": Maker(shared_names="Perplexity", makers="Perplexity AI"),
        "Hugging Face": Maker(names=r"SmolLM\d?|HuggingChat", shared_names="Zephyr", makers="Hugging ?Face"),
        "AI21": Maker(shared_names=r"Jamba|Jurassic(?:-\d)?", makers=r"AI21(?: Labs)?"),
        "Preferred Networks": Maker(names=r"PLaMo[\w.-]*", companies="Preferred Networks"),
        "ELYZA": Maker(makers="ELYZA|イライザ"),
        "rinna": Maker(shared_names="りんな", makers="rinna"),
        "SB Intuitions": Maker(names="Sarashina", makers="SB Intuitions"),
        "Stockmark": Maker(makers="Stockmark|ストックマーク"),
        "Sakana AI": Maker(makers="Sakana ?AI"),
        "CyberAgent": Maker(names="CyberAgentLM|OpenCALM", companies="CyberAgent|サイバーエージェント"),
        "Naver": Maker(names=r"HyperCLOVA(?: X)?", companies="N[Aa][Vv][Ee][Rr]"),
    }
)


def alternatives(*fields: str) -> str:
    """Return a regular expression for the names of some kinds of all makers."""
    found = [one for maker in MAKERS.values() for field in fields if (one := getattr(maker, field))]
    return rf"(?:(?<![A-Za-z0-9])(?:{'|'.join(found)})(?![A-Za-z0-9]))"


def makers_in(text: str) -> frozenset[str]:
    """Return the makers of which a text names one, or one of their models."""
    return frozenset(name for name, pattern in _by_maker().items() if pattern.search(text))


@cache
def _by_maker() -> Mapping[str, re.Pattern[str]]:
    return {
        name: re.compile(rf"(?<![A-Za-z0-9])(?:{maker.every_name})(?![A-Za-z0-9])", re.IGNORECASE)
        for name, maker in MAKERS.items()
    }
