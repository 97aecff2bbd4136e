"""Names of persons and places, English and Chinese, that may stand for each other."""

from __future__ import annotations

FEMALE = """
Alice Amanda Amy Angela Anna Barbara Carol Caroline Catherine Chloe Christine Claire Diana Elizabeth Ella Emily Emma
Fatima Hannah Helen Isabella Jane Jennifer Jessica Julia Karen Kate Laura Linda Lisa Lucy Margaret Maria Mary Megan
Michelle Mia Nancy Natalie Nicole Olivia Patricia Priya Rachel Rebecca Samantha Sandra Sarah Sophia Sophie Stephanie
Susan Victoria Yuki Zoe
"""

MALE = """
Aaron Adam Ahmed Alan Albert Alexander Andrew Anthony Arjun Arthur Benjamin Brian Charles Christopher Daniel David
Dennis Edward Eric Ethan Frank Gary George Gregory Harry Henry Hiroshi Ian Jack Jacob James Jason John Jonathan Joseph
Joshua Kevin Larry Liam Lucas Martin Matthew Michael Mohammed Nathan Nicholas Oliver Patrick Paul Peter Philip Raymond
Richard Robert Ryan Samuel Scott Simon Stephen Steven Thomas Timothy Victor Walter William
"""

FAMILY = """
Anderson Baker Brown Campbell Carter Chen Clark Cooper Davies Davis Edwards Evans Fischer Garcia Gonzalez Gupta Harris
Hernandez Hughes Jackson Jenkins Johnson Jones Kim Kowalski Kumar Lewis Lopez Martinez Miller Mitchell Moore Morris
Murphy Nguyen O'Brien Patel Perez Phillips Ramirez Roberts Robinson Rodriguez Rossi Sanchez Schmidt Shah Silva Singh
Smith Taylor Thompson Turner Walker Watson Williams Wilson Wright
"""

SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱林何郭罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶余潘杜"
    "戴夏钟汪田任姜范石姚谭廖邹熊金陆郝孔崔康毛邱秦江史顾侯邵孟龙万段"
)
"""One character each."""

GIVEN = """
小明 小红 小华 伟 芳 丽 强 磊 军 洋 勇 艳 杰 娟 涛 超 秀英 霞 平 刚 桂英 建国 志强 海燕 晓东 雪梅 文博 思远 子涵 雨桐
"""

CITIES = """
Amsterdam, Athens, Atlanta, Bangkok, Barcelona, Beijing, Berlin, Boston, Brussels, Budapest, Cairo, Chicago,
Copenhagen, Dallas, Delhi, Denver, Dublin, Edinburgh, Hamburg, Helsinki, Houston, Istanbul, Jakarta, Johannesburg,
Lagos, Lisbon, London, Los Angeles, Madrid, Manchester, Manila, Melbourne, Mexico City, Miami, Milan, Montreal, Moscow,
Mumbai, Munich, Nairobi, New York, Osaka, Oslo, Paris, Philadelphia, Prague, Rome, San Francisco, Seattle, Seoul,
Shanghai, Singapore, Stockholm, Sydney, Tokyo, Toronto, Vancouver, Vienna, Warsaw, Zurich
"""

COUNTRIES = """
Argentina, Australia, Austria, Belgium, Brazil, Canada, Chile, China, Colombia, Denmark, Egypt, Finland, France,
Germany, Greece, Hungary, India, Indonesia, Ireland, Israel, Italy, Japan, Kenya, Malaysia, Mexico, Morocco,
Netherlands, New Zealand, Nigeria, Norway, Pakistan, Peru, Poland, Portugal, Romania, Russia, South Africa,
South Korea, Spain, Sweden, Switzerland, Thailand, Turkey, Ukraine, Vietnam
"""

CHINESE_CITIES = """
北京 上海 广州 深圳 杭州 南京 苏州 成都 重庆 武汉 西安 天津 青岛 大连 厦门 宁波 长沙 郑州 济南 沈阳 哈尔滨 福州 合肥
昆明 南昌 贵阳 南宁 太原 石家庄 兰州 长春 海口 三亚 无锡 佛山 东莞 珠海 温州 桂林 丽江 拉萨 洛阳 烟台 扬州
"""

PROVINCES = """
江苏 浙江 广东 山东 河南 河北 四川 湖北 湖南 福建 安徽 江西 辽宁 陕西 山西 云南 贵州 广西 甘肃 海南 吉林 黑龙江 内蒙古
宁夏 青海 新疆 西藏
"""

CHINESE_COUNTRIES = """
美国 英国 法国 德国 日本 韩国 俄罗斯 意大利 西班牙 加拿大 澳大利亚 泰国 越南 印度 巴西 埃及
"""
