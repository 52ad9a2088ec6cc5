"""More facts of the world: words, names, the calendar, the household."""

from kasasagi.hina.world.entry import Entry, entries, rows

WORDS = entries("""
water|水
fire|火
mountain|山
river|川
sea|海
sky|空
star|星
moon|月
sun|太陽
tree|木
flower|花
rain|雨
snow|雪
wind|風
stone|石
book|本
car|車
house|家
door|ドア
window|窓
chair|椅子
table|机
shoe|靴
hat|帽子
hand|手
foot|足
eye|目
ear|耳
mouth|口
heart|心
bread|パン
rice|米
egg|卵
milk|牛乳
tea|お茶
salt|塩
apple|りんご
friend|友達
child|子ども
teacher|先生
school|学校
station|駅
train|電車
letter|手紙
music|音楽
picture|絵
morning|朝
night|夜
summer|夏
winter|冬
spring|春
autumn|秋
dog|犬
cat|猫
bird|鳥
fish|魚
horse|馬
cow|牛
""")
COUNTABLE = entries(
    """
cat|猫|cats
dog|犬|dogs
box|箱|boxes
child|子ども|children
foot|足|feet
tooth|歯|teeth
mouse|ネズミ|mice
man|男|men
woman|女|women
leaf|葉|leaves
knife|包丁|knives
city|都市|cities
baby|赤ちゃん|babies
bus|バス|buses
dish|皿|dishes
sheep|羊|sheep
goose|ガチョウ|geese
story|物語|stories
wolf|狼|wolves
potato|じゃがいも|potatoes
star|星|stars
watch|腕時計|watches
""",
    "many",
)
VERBS = entries(
    """
go|行く|went
eat|食べる|ate
see|見る|saw
write|書く|wrote
read|読む|read
run|走る|ran
swim|泳ぐ|swam
buy|買う|bought
come|来る|came
drink|飲む|drank
sing|歌う|sang
give|与える|gave
take|取る|took
sleep|眠る|slept
speak|話す|spoke
walk|歩く|walked
play|遊ぶ|played
study|勉強する|studied
build|建てる|built
teach|教える|taught
find|見つける|found
fly|飛ぶ|flew
""",
    "past",
)
for verb in VERBS:
    verb.facts["past_entry"] = Entry(verb["past"], verb["past"])
for noun in COUNTABLE:
    noun.facts["many_entry"] = Entry(noun["many"], noun["many"])

SPELT = [
    "cat",
    "dog",
    "sun",
    "moon",
    "star",
    "tree",
    "fish",
    "bird",
    "apple",
    "bread",
    "house",
    "water",
    "river",
    "stone",
    "green",
    "black",
    "white",
    "table",
    "chair",
    "music",
    "tiger",
    "lemon",
    "garden",
    "winter",
    "summer",
    "yellow",
    "orange",
    "school",
    "window",
    "friend",
    "banana",
    "flower",
    "kitchen",
    "morning",
    "picture",
    "teacher",
]
SPELLED = [Entry(w, w, length=len(w), first=w[0], last=w[-1], letters="-".join(w)) for w in SPELT]

NAMES = entries("""
Ken|健
Aiko|愛子
Tom|トム
Anna|アンナ
Yuki|由紀
Emma|エマ
Taro|太郎
Mia|ミア
Hana|花
Leo|レオ
Sora|空
Lucy|ルーシー
""")
ITEMS = entries(
    """
apple|りんご|個
orange|みかん|個
egg|卵|個
pencil|鉛筆|本
book|本|冊
ball|ボール|個
stamp|切手|枚
coin|硬貨|枚
card|カード|枚
flower|花|本
""",
    "counter",
)
for item in ITEMS:
    item.facts["unit"] = Entry("", item["counter"])

DAYS = entries("""
Monday|月曜日
Tuesday|火曜日
Wednesday|水曜日
Thursday|木曜日
Friday|金曜日
Saturday|土曜日
Sunday|日曜日
""")
SEASONS = entries("""
winter|冬
spring|春
summer|夏
autumn|秋
""")
MONTHS = [
    Entry(en, f"{number}月", number=number, days=days, season=SEASONS[number % 12 // 3])
    for number, (en, days) in enumerate(
        [
            ("January", 31),
            ("February", 28),
            ("March", 31),
            ("April", 30),
            ("May", 31),
            ("June", 30),
            ("July", 31),
            ("August", 31),
            ("September", 30),
            ("October", 31),
            ("November", 30),
            ("December", 31),
        ],
        start=1,
    )
]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
]
UNITS = [
    Entry(en, ja, small=Entry(small, small_ja), factor=int(factor))
    for en, ja, small, small_ja, factor in rows("""
metres|メートル|centimetres|センチメートル|100
kilometres|キロメートル|metres|メートル|1000
kilograms|キログラム|grams|グラム|1000
litres|リットル|millilitres|ミリリットル|1000
centimetres|センチメートル|millimetres|ミリメートル|10
weeks|週間|days|日|7
hours|時間|minutes|分|60
minutes|分|seconds|秒|60
dozen eggs|ダースの卵|eggs|個の卵|12
years|年|months|か月|12
days|日|hours|時間|24
""")
]
SHAPES = [
    Entry(en, ja, sides=int(sides))
    for en, ja, sides in rows("""
triangle|三角形|3
square|正方形|4
rectangle|長方形|4
pentagon|五角形|5
hexagon|六角形|6
octagon|八角形|8
""")
]
GROUPS = [
    Entry(en, ja, members=[Entry(a, b) for a, b in (pair.split("/") for pair in members.split(","))])
    for en, ja, members in rows("""
fruit|果物|apple/りんご,pear/梨,grape/ぶどう,melon/メロン,peach/桃,lemon/レモン
tool|道具|hammer/金づち,saw/のこぎり,drill/ドリル,spade/スコップ,axe/斧
animal|動物|dog/犬,cat/猫,horse/馬,lion/ライオン,bear/熊,cow/牛
vegetable|野菜|carrot/にんじん,onion/玉ねぎ,cabbage/キャベツ,potato/じゃがいも,radish/大根
vehicle|乗り物|car/車,train/電車,bus/バス,ship/船,plane/飛行機
garment|衣服|shirt/シャツ,coat/コート,hat/帽子,sock/靴下,skirt/スカート
""")
]
for group in GROUPS:
    for member in group["members"]:
        member.facts["group"] = group
MEMBERS = [member for group in GROUPS for member in group["members"]]

REQUESTS = [
    Entry(f"{verb} {thing}", f"{thing_ja}を{verb_ja}", polite=Entry("", polite))
    for verb, thing, thing_ja, verb_ja, polite in rows("""
open|the window|窓|開けて|窓を開けていただけますか
close|the door|ドア|閉めて|ドアを閉めていただけますか
pass|the salt|塩|取って|塩を取っていただけますか
bring|the book|本|持ってきて|本を持ってきていただけますか
call|the doctor|医者|呼んで|医者を呼んでいただけますか
clean|the room|部屋|掃除して|部屋を掃除していただけますか
carry|the box|箱|運んで|箱を運んでいただけますか
wash|the dishes|皿|洗って|皿を洗っていただけますか
read|the letter|手紙|読んで|手紙を読んでいただけますか
wait for|the bus|バス|待って|バスを待っていただけますか
show|the map|地図|見せて|地図を見せていただけますか
sign|the form|書類|書いて|書類を書いていただけますか
""")
]
LIKED = entries("""
tea|お茶
coffee|コーヒー
rice|ご飯
music|音楽
books|本
cats|猫
dogs|犬
apples|りんご
stamps|切手
flowers|花
trains|電車
fish|魚
""")
PLACES = entries("""
market|市場
shop|店
station|駅
bakery|パン屋
town|町
harbour|港
""")
HOWTO_ENGLISH = """
make tea|Boil the water|Put in the leaves|Pour the water|Wait three minutes
boil an egg|Fill a pot|Put in the egg|Boil it ten minutes|Peel the egg
wash hands|Wet your hands|Take some soap|Rub your hands|Dry your hands
plant a seed|Dig a hole|Put in the seed|Cover it with soil|Give it water
send a letter|Write the letter|Put it in an envelope|Add a stamp|Post it
cook rice|Measure the rice|Wash the rice|Add water|Start the cooker
brush teeth|Take the brush|Add some paste|Brush each tooth|Rinse your mouth
make a sandwich|Cut the bread|Spread the butter|Add the cheese|Close the bread
borrow a book|Go to the library|Choose a book|Show your card|Take the book home
do the laundry|Sort the clothes|Load the machine|Add the powder|Hang up the clothes
take a train|Buy a ticket|Go to the platform|Get on the train|Find a seat
paint a wall|Clean the wall|Open the paint|Use the brush|Let it dry
"""
HOWTO_JAPANESE = """
お茶をいれる|湯をわかす|茶葉を入れる|湯を注ぐ|三分待つ
卵をゆでる|鍋に水を入れる|卵を入れる|十分ゆでる|殻をむく
手を洗う|手をぬらす|せっけんをつける|手をこする|手をふく
種をまく|穴を掘る|種を入れる|土をかける|水をやる
手紙を出す|手紙を書く|封筒に入れる|切手をはる|ポストに入れる
ご飯を炊く|米を量る|米を研ぐ|水を加える|炊飯器を押す
歯を磨く|歯ブラシを取る|歯磨き粉をつける|歯を磨く|口をすすぐ
サンドイッチを作る|パンを切る|バターを塗る|チーズをのせる|パンではさむ
本を借りる|図書館へ行く|本を選ぶ|カードを見せる|本を持ち帰る
洗濯をする|服を分ける|洗濯機に入れる|洗剤を入れる|服を干す
電車に乗る|切符を買う|ホームへ行く|電車に乗り込む|席を探す
壁を塗る|壁をきれいにする|ペンキを開ける|はけで塗る|乾かす
"""
HOWTO = [
    Entry(en, ja, steps=[Entry(*pair) for pair in zip(steps, steps_ja, strict=True)])
    for (en, *steps), (ja, *steps_ja) in zip(rows(HOWTO_ENGLISH), rows(HOWTO_JAPANESE), strict=True)
]
WEATHER = [
    Entry(en, ja, take=Entry(take, take_ja), why=Entry(why, why_ja))
    for en, ja, take, take_ja, why, why_ja in rows("""
rainy|雨|umbrella|傘|keeps you dry|濡れずにすむ
snowy|雪|warm coat|暖かいコート|keeps you warm|寒くない
sunny|晴れ|sun hat|帽子|protects you from the sun|日差しを防げる
windy|風の強い日|windbreaker|ウインドブレーカー|stops the wind|風を防げる
foggy|霧|torch|懐中電灯|helps you see|よく見える
""")
]
YES, NO = Entry("Yes", "はい"), Entry("No", "いいえ")
IS, IS_NOT = Entry("is", "です"), Entry("is not", "ではありません")
EVEN, ODD = Entry("even", "偶数"), Entry("odd", "奇数")
