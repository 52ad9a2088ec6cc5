"""The facts of the world, in tables of our own."""

from kasasagi.hina.world.entry import Entry, by_name, entries, rows

CONTINENTS = entries("""
Europe|ヨーロッパ
Asia|アジア
Africa|アフリカ
North America|北アメリカ
South America|南アメリカ
Oceania|オセアニア
""")

COUNTRIES = [
    Entry(en, ja, capital=Entry(city, city_ja), continent=by_name(CONTINENTS)[continent])
    for en, ja, city, city_ja, continent in rows("""
France|フランス|Paris|パリ|Europe
Japan|日本|Tokyo|東京|Asia
Italy|イタリア|Rome|ローマ|Europe
Spain|スペイン|Madrid|マドリード|Europe
Germany|ドイツ|Berlin|ベルリン|Europe
Portugal|ポルトガル|Lisbon|リスボン|Europe
Greece|ギリシャ|Athens|アテネ|Europe
Austria|オーストリア|Vienna|ウィーン|Europe
Norway|ノルウェー|Oslo|オスロ|Europe
Sweden|スウェーデン|Stockholm|ストックホルム|Europe
Finland|フィンランド|Helsinki|ヘルシンキ|Europe
Poland|ポーランド|Warsaw|ワルシャワ|Europe
Hungary|ハンガリー|Budapest|ブダペスト|Europe
Ireland|アイルランド|Dublin|ダブリン|Europe
Denmark|デンマーク|Copenhagen|コペンハーゲン|Europe
China|中国|Beijing|北京|Asia
India|インド|New Delhi|ニューデリー|Asia
Thailand|タイ|Bangkok|バンコク|Asia
Vietnam|ベトナム|Hanoi|ハノイ|Asia
Mongolia|モンゴル|Ulaanbaatar|ウランバートル|Asia
Nepal|ネパール|Kathmandu|カトマンズ|Asia
Iran|イラン|Tehran|テヘラン|Asia
Egypt|エジプト|Cairo|カイロ|Africa
Kenya|ケニア|Nairobi|ナイロビ|Africa
Ghana|ガーナ|Accra|アクラ|Africa
Morocco|モロッコ|Rabat|ラバト|Africa
Senegal|セネガル|Dakar|ダカール|Africa
Canada|カナダ|Ottawa|オタワ|North America
Cuba|キューバ|Havana|ハバナ|North America
Jamaica|ジャマイカ|Kingston|キングストン|North America
Brazil|ブラジル|Brasilia|ブラジリア|South America
Peru|ペルー|Lima|リマ|South America
Chile|チリ|Santiago|サンティアゴ|South America
Colombia|コロンビア|Bogota|ボゴタ|South America
Australia|オーストラリア|Canberra|キャンベラ|Oceania
New Zealand|ニュージーランド|Wellington|ウェリントン|Oceania
""")
]
CITIES = [Entry(c["capital"].en, c["capital"].ja, country=c) for c in COUNTRIES]

CLASSES = entries(
    """
mammal|哺乳類|it gives milk to its young|子に乳を与える
bird|鳥類|it has feathers|羽毛がある
fish|魚類|it breathes with gills|えらで呼吸する
insect|昆虫|it has six legs|足が六本ある
reptile|爬虫類|it has dry scales|乾いたうろこがある
amphibian|両生類|it lives in water when young|子の時に水の中で暮らす
""",
    "why",
    "why_ja",
)
for kind in CLASSES:
    kind.facts["reason"] = Entry(kind["why"], kind["why_ja"])
    kind.facts["plural"] = "fish" if kind.en == "fish" else None

HOMES = entries("""
in the house|家
on the farm|農場
in the forest|森
in the sea|海
in rivers|川
on the savanna|サバンナ
in the mountains|山
in ponds|池
in gardens|庭
on the ice|氷の上
in the desert|砂漠
""")

ANIMALS = [
    Entry(en, ja, kind=by_name(CLASSES)[kind], legs=int(legs), home=by_name(HOMES)[home], size=int(size))
    for en, ja, kind, legs, home, size in rows("""
dog|犬|mammal|4|in the house|40
cat|猫|mammal|4|in the house|30
horse|馬|mammal|4|on the farm|80
cow|牛|mammal|4|on the farm|82
pig|豚|mammal|4|on the farm|60
goat|ヤギ|mammal|4|on the farm|52
rabbit|ウサギ|mammal|4|in gardens|22
bear|熊|mammal|4|in the forest|78
fox|キツネ|mammal|4|in the forest|36
deer|鹿|mammal|4|in the forest|65
lion|ライオン|mammal|4|on the savanna|74
zebra|シマウマ|mammal|4|on the savanna|76
elephant|象|mammal|4|on the savanna|95
giraffe|キリン|mammal|4|on the savanna|90
camel|ラクダ|mammal|4|in the desert|84
mouse|ネズミ|mammal|4|in the house|10
whale|クジラ|mammal|0|in the sea|99
dolphin|イルカ|mammal|0|in the sea|70
duck|アヒル|bird|2|in ponds|24
chicken|鶏|bird|2|on the farm|23
owl|フクロウ|bird|2|in the forest|25
eagle|ワシ|bird|2|in the mountains|32
penguin|ペンギン|bird|2|on the ice|33
magpie|カササギ|bird|2|in gardens|20
ostrich|ダチョウ|bird|2|on the savanna|66
salmon|鮭|fish|0|in rivers|28
shark|サメ|fish|0|in the sea|88
carp|鯉|fish|0|in ponds|26
tuna|マグロ|fish|0|in the sea|62
ant|アリ|insect|6|in gardens|1
bee|ミツバチ|insect|6|in gardens|3
butterfly|チョウ|insect|6|in gardens|5
beetle|カブトムシ|insect|6|in the forest|6
snake|ヘビ|reptile|0|in the desert|31
lizard|トカゲ|reptile|4|in the desert|12
crocodile|ワニ|reptile|4|in rivers|86
turtle|カメ|reptile|4|in the sea|34
frog|カエル|amphibian|4|in ponds|9
newt|イモリ|amphibian|4|in ponds|8
""")
]
for name, irregular in {"mouse": "mice", "deer": "deer", "salmon": "salmon", "carp": "carp", "tuna": "tuna"}.items():
    by_name(ANIMALS)[name].facts["plural"] = irregular

YOUNG = [
    Entry(en, ja, young=Entry(young, young_ja), sound=Entry(sound, sound_ja))
    for en, ja, young, young_ja, sound, sound_ja in rows("""
dog|犬|puppy|子犬|woof|ワンワン
cat|猫|kitten|子猫|meow|ニャー
horse|馬|foal|子馬|neigh|ヒヒーン
cow|牛|calf|子牛|moo|モー
pig|豚|piglet|子豚|oink|ブーブー
sheep|羊|lamb|子羊|baa|メー
chicken|鶏|chick|ひよこ|cluck|コッコッ
frog|カエル|tadpole|オタマジャクシ|croak|ケロケロ
lion|ライオン|cub|子ライオン|roar|ガオー
duck|アヒル|duckling|子アヒル|quack|ガーガー
""")
]

COLOURS = entries("""
red|赤
yellow|黄色
green|緑
blue|青
white|白
black|黒
orange|オレンジ色
brown|茶色
purple|紫
pink|ピンク
grey|灰色
""")
COLOUR = by_name(COLOURS)
THINGS = [
    Entry(en, ja, colour=COLOUR[colour])
    for en, ja, colour in rows("""
ripe banana|熟したバナナ|yellow
lemon|レモン|yellow
strawberry|いちご|red
ripe tomato|熟したトマト|red
cherry|さくらんぼ|red
cucumber|きゅうり|green
spinach leaf|ほうれん草の葉|green
frog|カエル|green
clear sky|晴れた空|blue
blueberry|ブルーベリー|blue
snowflake|雪|white
milk tooth|乳歯|white
swan|白鳥|white
raven|カラス|black
piece of coal|石炭|black
carrot|にんじん|orange
mandarin|みかん|orange
chestnut|栗|brown
chocolate bar|板チョコ|brown
aubergine|なす|purple
grape|ぶどう|purple
flamingo|フラミンゴ|pink
peach blossom|桃の花|pink
elephant|象|grey
rain cloud|雨雲|grey
""")
]
MIXES = {
    frozenset({"red", "yellow"}): "orange",
    frozenset({"blue", "yellow"}): "green",
    frozenset({"red", "blue"}): "purple",
    frozenset({"red", "white"}): "pink",
    frozenset({"black", "white"}): "grey",
    frozenset({"red", "green"}): "brown",
}

SOURCES = [
    Entry(en, ja, source=Entry(source, source_ja))
    for en, ja, source, source_ja in rows("""
bread|パン|flour|小麦粉
cheese|チーズ|milk|牛乳
butter|バター|cream|生クリーム
tofu|豆腐|soybeans|大豆
wine|ワイン|grapes|ぶどう
honey|はちみつ|nectar|花の蜜
paper|紙|wood|木
glass|ガラス|sand|砂
sake|日本酒|rice|米
soy sauce|醤油|soybeans|大豆
chocolate|チョコレート|cocoa|カカオ
jam|ジャム|fruit|果物
mayonnaise|マヨネーズ|eggs|卵
leather|革|hide|動物の皮
popcorn|ポップコーン|corn|とうもろこし
""")
]

JOBS = [
    Entry(en, ja, tool=Entry(tool, tool_ja), place=Entry(place, place_ja), does=Entry(does, does_ja))
    for en, ja, tool, tool_ja, place, place_ja, does, does_ja in rows("""
baker|パン職人|oven|オーブン|bakery|パン屋|bakes bread|パンを焼く
doctor|医者|stethoscope|聴診器|hospital|病院|treats the sick|病気を治す
teacher|先生|blackboard|黒板|school|学校|teaches children|子どもに教える
carpenter|大工|hammer|金づち|building site|建築現場|builds houses|家を建てる
farmer|農家|tractor|トラクター|field|畑|grows vegetables|野菜を育てる
fisher|漁師|net|網|boat|船|catches fish|魚をとる
painter|画家|brush|筆|studio|アトリエ|paints pictures|絵を描く
barber|床屋|scissors|はさみ|barber shop|理髪店|cuts hair|髪を切る
cook|料理人|pan|フライパン|kitchen|台所|prepares meals|料理を作る
pilot|パイロット|cockpit|操縦席|airport|空港|flies planes|飛行機を飛ばす
librarian|司書|catalogue|目録|library|図書館|lends books|本を貸す
gardener|庭師|spade|スコップ|garden|庭園|plants flowers|花を植える
tailor|仕立屋|needle|針|workshop|仕立て場|sews clothes|服を縫う
astronomer|天文学者|telescope|望遠鏡|observatory|天文台|studies stars|星を調べる
dentist|歯医者|drill|ドリル|dental clinic|歯科医院|repairs teeth|歯を治す
judge|裁判官|gavel|木づち|court|裁判所|decides cases|判決を下す
""")
]

TOOLS = entries(
    """
hammer|金づち|drive in nails|釘を打つ
saw|のこぎり|cut wood|木を切る
umbrella|傘|stay dry in the rain|雨をよける
key|鍵|open a lock|錠を開ける
broom|ほうき|sweep the floor|床を掃く
knife|包丁|cut food|食べ物を切る
thermometer|温度計|measure heat|温度を測る
ruler|定規|measure length|長さを測る
scale|はかり|measure weight|重さを量る
clock|時計|tell the time|時間を知る
pen|ペン|write|字を書く
ladder|はしご|climb up|高い所に登る
candle|ろうそく|give light|明かりをともす
spoon|スプーン|eat soup|スープを飲む
""",
    "use",
    "use_ja",
)
for tool in TOOLS:
    tool.facts["purpose"] = Entry(tool["use"], tool["use_ja"])

OPPOSITES = entries(
    """
big|大きい|small|小さい
hot|暑い|cold|寒い
long|長い|short|短い
high|高い|low|低い
fast|速い|slow|遅い
new|新しい|old|古い
bright|明るい|dark|暗い
heavy|重い|light|軽い
strong|強い|weak|弱い
wide|広い|narrow|狭い
thick|厚い|thin|薄い
near|近い|far|遠い
good|良い|bad|悪い
hard|硬い|soft|柔らかい
deep|深い|shallow|浅い
early|早い|late|遅れた
many|多い|few|少ない
easy|易しい|difficult|難しい
happy|嬉しい|sad|悲しい
dry|乾いた|wet|濡れた
""",
    "other",
    "other_ja",
)
OPPOSITES += [Entry(e["other"], e["other_ja"], other=e.en, other_ja=e.ja) for e in OPPOSITES]
for word in OPPOSITES:
    word.facts["opposite"] = Entry(word["other"], word["other_ja"])
