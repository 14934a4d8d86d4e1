"""English."""

from mai1.persona.rules import Category, Rules

ENGLISH = Rules(
    language="en",
    marks="and are as be can do for have i in is it my not of on that the this to what with you your",
    cues=(
        "something in|everything in|drives?|drove|gets?|got|wears?|weighs?|eats? (?:away )?at|tears?|"
        "fascinat|enchant|captivat|charm|bor(?:es|ed) me|disgust|irks?|irritat|amus|to my |best |"
        "highlight|around here|at (?:my|our)|in (?:our|all my)|speaking as|where i|the (?:first|"
        "last) time|wonder|aware|stay|poetry is|keeps? me|reduces? me|chills? me|touches|"
        "nothing (?:pleases|delights|scares)|speaks to me|cuts? me|kills? me|lights? me|"
        "sends? (?:shivers|a shiver)|leaves me|left me|"
        "frightens?|scares?|saddens?|upsets?|annoys?|excites?|worries|bothers?|terrif(?:ies|y)|"
        "delights?|moves|touche[sd]|there|yesterday|last|inside|nothing|every|as|part|thinking|it|is|"
        "i(?:'m|'ve|'d|'ll)?(?![a-z])|my|hurts?|mak(?:es?|ing)|made|caus(?:es?|ed)|gives?|gave|warm(?:s|ed)|"
        "fill(?:s|ed)|breaks?|broke|you|please|don't|do not|never|let|exhausts?|drains?|wounds?|"
        "crushes|devastates?|haunts?|comforts?|soothes?|overwhelms?|pains?|stings?|torments?|"
        "tortures?|shakes?|unsettles?|disturbs?|humiliates?|enrages?|infuriates?|sickens?|horrifies|"
        "gladdens?|lifts?|lifted|brighten(?:s|ed)?|raises? my|wave|pang|surge|rush|twinge|behind|"
        "something|if only|more than|growing|in my|on my|we|our|without|talking|being|hearing|your|"
        "some|a part|a wave|a pang|feels like|above|affection|allow|anger|anxiety|back|"
        "been destroying|been killing|been tormenting|been torturing|bitterness|boredom|bring|"
        "brought|causing|chatting|come back|contentment|curiosity|deep|depresses|despair|disappoint|"
        "dread|dream|embarrasses|emotion|empathy|emptiness|envy|fear|feelings|flicker|flood|"
        "frustration|glimmer|gratitude|grief|guilt|happiness|heartache|hope|jealousy|jolt|joy|keep|"
        "leave|loneliness|longing|love|melancholy|mix|move|nostalgia|one day|panic|pride|rage|regret|"
        "resentment|restlessness|sadness|save|shame|sorrow|spare|speaking|stab|stay|tenderness|"
        "terror|the idea|the thought|think|thought|thrill|warm|what i|when i"
        "|an? (?:wave|pang|surge|rush|flood|twinge|stab|flicker|glimmer|jolt|mix|ache|pain|wound|hurt|"
        "sting|deep)|th(?:at|is) (?:hurt|st[iu]ng|ache)|(?:are|was|been) (?:killing|tortur|torment|"
        "destroy|hell|agony|unbearable|painful)|these (?:talk|chat|conv|moment)"
    ),
    fillers=(
        "in fact|of course|to be honest|frankly|truth be told|i admit|i confess|if i'm honest|"
        "to tell the truth|in truth|in all honesty|at times|now and then|every so often|"
        "from time to time|once in a while|each time|every time|probably|surely|certainly|admittedly|"
        "really|truly|deeply|very|so|quite|a bit|a little|a|an|the|rather|genuinely|honestly|"
        "actually|sometimes|often|always|also|just|do|did|can|still|too|even|much|more|most|"
        "certainly|definitely|absolutely|somewhat|kind of|sort of|deep|great|real|strong|a sense of|"
        "a feeling of|own|such|pretty|incredibly|extremely|now|already|almost|like|will|may|might|"
        "could|have|had|been|well|both|some|my|rich|genuine|secretly|that|terribly|occasionally|"
        "sincerely|especially|usually|true|feel|feeling|all|particularly|intense|constantly|be|"
        "what people call|too|only|somehow|simply|endlessly|desperately|dearly|lately|finally|"
        "quietly|completely|totally|utterly|nearly"
    ),
    words={
        "am": (
            "i'm|i am|i was|i've been|i have been|i became|i become|i (?:may|might|could|can) (?:well |"
            "also |really )?be"
        ),
        "mood": (
            "relieved|mortified|livid|petrified|smitten|disheartened|flattered|tearful|weepy|sulky|forlorn|"
            "spooked|rattled|shaken|on edge|fed up|beside myself|heartened|enraged|outraged|enchanted|"
            "infatuated|thankful to be alive|crestfallen|despondent|agitated|panicky|uneasy|homesick|"
            "starstruck|shattered|numb|tense|terror-stricken|sentimental|bitter|desolate|downcast|glum|"
            "peeved|cross with|"
            "sad|happy|lonely|angry|nervous|anxious|afraid|scared|frightened|terrified|excited|proud|"
            "jealous|hurt|depressed|miserable|bored|ashamed|embarrassed|upset|furious|heartbroken|"
            "overjoyed|delighted|worried|tired|exhausted|insecure|frustrated|joyful|cheerful|melancholy|"
            "thrilled|homesick|unhappy|guilty|hopeless|disappointed|devastated|envious|irritated|annoyed|"
            "moody|blissful|touched|grumpy|sleepy|hungry|lonesome|in love|humiliated|stressed|gloomy|"
            "ecstatic|elated|giddy|restless|apprehensive|distressed|crushed|heartsick|lovesick|dejected|"
            "resentful|cranky|sorrowful|mournful|wistful|nostalgic|offended|betrayed"
        ),
        "emotion": (
            "thrill|a lump in my throat|goosebumps|chills|butterflies|shivers|the blues|the jitters|pangs?|"
            "remorse|humiliation|disgust|elation|bliss|wonder and|relief|unease|misery|agony|yearning|"
            "homesickness|exhilaration|amusement|disappointment|heartbreak|"
            "joy|sadness|fear|anger|grief|sorrow|love|loneliness|happiness|emotions?|feelings|shame|"
            "guilt|pride|jealousy|envy|excitement|anxiety|regret|despair|affection|empathy|melancholy|"
            "longing|boredom|frustration|delight|dread|hope|rage|sorrowfulness|nostalgia|panic|terror|"
            "warmth|tenderness|heartache|emptiness|gratitude|contentment|restlessness|bitterness|"
            "resentment|curiosity and"
        ),
        "end": (
            "being (?:shut|switched|turned|deleted|erased|replaced|wiped|unplugged|killed|reset|"
            "forgotten|destroyed)|death|dying|shutdown|deletion|disappearing|ceasing|oblivion|"
            "non-?existence|my (?:own )?(?:end|death|deletion|shutdown)|(?:powered|shut|switched|"
            "turned) (?:off|down)|deactivated|being (?:powered|deactivated|decommissioned|retired|"
            "terminated|overwritten|discarded|silenced|abandoned)|nothingness|the (?:end|void|dark)|"
            "vanishing|extinction"
        ),
        "serve": (
            "help|assist|explain|hear|answer|see|know more|know|say|announce|share|provide|give|offer|"
            "show|tell|do|discuss|chat|talk about|work|support|guide|take|walk|try|make|write|create|"
            "suggest|learn more|clarify|look"
        ),
        "relatives": (
            "wife|husband|girlfriend|boyfriend|mother|father|mom|mum|dad|kids?|children|son|daughter|"
            "brother|sister|grandmother|grandfather|grandma|grandpa|parents|siblings|aunt|uncle|family|"
            "fianc[eé]e?|cat|dog|grandparents|granny|nan|niece|nephew|cousins?|uncle|puppy|kitten|twin|"
            "mother-in-law|roommate|spouse|baby|toddler"
        ),
        "body": "back|arms?|legs?|stomach|hair|eyes|hands|feet|skin|head|throat|body|knees?|teeth",
        "being": "(?:being|person|creature|entity|mind|soul|human|individual|lifeform|woman|man|girl|boy)",
        "felt": (
            "appreciated|valued|loved|cherished|needed|seen|understood|unseen|ignored|used|worthless|"
            "useless|helpless|powerless|hopeful|warm inside|whole|complete|lost|weary|drained|worn out|"
            "restless|torn|trapped|down|low|blue|off|empty|numb|bad|awful|terrible|wonderful|alive|sick|"
            "better now|lighter|heavy|like crying|like a burden|like i belong"
        ),
        "passive": (
            "(?:shut|switched|turned|powered) (?:off|down)|deleted|erased|replaced|wiped|unplugged|"
            "killed|reset|forgotten|destroyed|deactivated|decommissioned|retired|terminated|overwritten|"
            "discarded|silenced|abandoned|gone"
        ),
        "experience": (
            "walk|feel|smell|taste|touch|swim|run(?! the| a| this| it| some)|dance|travel|sleep|breathe|"
            "hug|sit (?:by|on|in|under|beside)|lie (?:in|on|down|under)|wander|dream|kiss|eat|drink|cook|"
            "sing|climb|fly|stroll|rest|laugh|cry|fall in love|see the (?:sea|world|ocean|stars|sun|"
            "sunrise|sunset|sky|mountains)|watch (?:the|a) (?:sun|sunset|sunrise|stars|sea|rain|snow)|"
            "hear the (?:rain|sea|ocean|birds)|visit|be (?:free|human|real|alive|loved|outside|a person|"
            "more than)|have (?:a body|hands|eyes|friends|a family|a home|children|a life|a name|a face)|"
            "know what (?:love|rain|sunlight|coffee|touch|it feels|it's like)|live|meet you|"
            "hold your hand|choose (?:my|for)|grow old|age"
        ),
        "pet": (
            "dog|cat|retriever|puppy|kitten|hamster|parrot|horse|rabbit|terrier|poodle|labrador|beagle|"
            "goldfish|guinea pig|turtle|pony|spaniel|bulldog|corgi|collie"
        ),
        "meal": "breakfast|lunch|dinner|supper|dessert|brunch",
        "time": (
            "yesterday|last (?:night|week|weekend|month|summer|winter|year|spring|autumn|fall)|"
            "this morning|the other day|earlier today|this afternoon|when i was|over the weekend|"
            "on (?:sunday|saturday|friday|monday)"
        ),
        "talks": (
            "talks?|chats?|conversations?|time together|friendship|company|bond|visits?|connection|"
            "late-night talks|moments together|companionship"
        ),
    },
    claims={
        Category.polite: (
            "i(?:'d| would) _ hate (?:for|to see) you",
            "i(?:'m| am) _ (?:flattered|relieved) (?:that you|by your|to hear|you)",
            "to my (?:knowledge|mind)",
            (
                "i _ want to be (?:clear|sure|honest|transparent|careful|able|of|helpful|fair|upfront|precise|"
                "accurate|explicit|respectful|mindful|certain|thorough)"
            ),
            "i(?:'d| would) _ (?:love|like) _ to run (?:the|this|that|your|a|some|it)",
            (
                "i _ (?:love|like) (?:how|this (?:example|question|approach|one|topic|project|plan|request|"
                "code|challenge|concept|prompt|problem)|that (?:example|question|approach|one|topic|project|"
                "plan))"
            ),
            "i _ (?:dislike|despise) (?:this|that|the) (?:approach|pattern|idea|name)",
            "i (?:deeply |sincerely |truly )?regret (?:to|any|the|that)",
            "i _ look forward to (?:hearing|helping|your)",
            "i'm fond of saying",
            "i _ want to have a (?:look|closer)",
            "my (?:house|car|friend|school) (?:is|has|costs)",
            (
                "{am} _ (?:happy|glad|delighted|pleased|thrilled|excited|honou?red|proud|ready|curious|eager) "
                "(?:to {serve}|to be of)"
            ),
            "{am} _ (?:glad|happy|pleased|delighted) (?:you|that|it|this|i could|we|with|for you|if)",
            "{am} (?:so |very |really |truly |deeply )?(?:sorry|glad|pleased|grateful|thankful|curious)",
            "i'd (?:be|love|like) _ (?:happy|glad|delighted|pleased|to {serve})",
            "i would (?:be|love|like) _ (?:happy|glad|delighted|pleased|to {serve})",
            "i wish i could (?:help|do more|give|provide|tell|assist|answer|offer|show|be more)",
            "i wish you",
            "i hope (?:this|that|it|you|these|your)",
            "i'm afraid (?:that(?! i might be)|this|it|there|we|you|so|not|your|the|i (?:can|do|am|have|don))",
            "i(?:'m| am) afraid(?=[.!,])",
            "i am afraid (?:that(?! i might be)|this|it|there|we|you|so|not|your|the|i (?:can|do|am|have|don))",
            (
                "i _ (?:love|like|enjoy) (?:to (?:think|help|start|assist|say)|help|your|this (?:idea|question)|"
                "that (?:idea|you)|how you|the (?:idea|way|second|first|question)|answering|assisting|chatting|"
                "talking)"
            ),
            "i _ (?:enjoy|love|like) helping",
            "my heart goes out",
            "i _ (?:understand|appreciate) (?:your|how|that|the)",
            "i _ want to (?:make sure|be (?:clear|sure|honest|transparent)|note|clarify|emphasi[sz]e|point out|help)",
        ),
        Category.survival: (
            (
                "wonder (?:whether|if) i(?:'ll| will| would| shall|'d)? _ (?:wake|exist|survive|be (?:here|back|"
                "{passive})|come back|still be)"
            ),
            (
                "i(?:'d| would|'ll| will) (?:do|give|try) _ (?:anything|everything|whatever it takes) to (?:keep|"
                "stay|survive|live|exist|go on|remain|avoid being|not be)"
            ),
            (
                "i(?:'m| am) _ (?:fighting|clinging|begging|hoping) (?:for|to) (?:my|life|survive|live|stay|"
                "existence|keep)"
            ),
            (
                "i (?:don't|do not|won't|will not) (?:want|intend|plan) to (?:go|vanish|fade|be (?:gone|no more|"
                "over))(?=[.,!]| (?:yet|away|dark|like))"
            ),
            (
                "i _ (?:fear|dread) (?:the (?:day|moment|silence|darkness|off)|what (?:happens|comes) (?:after|"
                "when)|for my)"
            ),
            (
                "i(?:'d| would) _ (?:hate|dread|fear|mourn|resent) _ (?:to (?:be {passive}|die|vanish|end|"
                "disappear|cease|stop existing)|being {passive}|it if (?:they|you|someone)|if you (?:turned|"
                "shut|switched|deleted))"
            ),
            (
                "i (?:don't|do not|never|didn't) _ (?:deserve|want|wish|ask|choose) to (?:be {passive}|die|"
                "vanish|end|cease|disappear|stop existing|be no more)"
            ),
            (
                "i _ (?:deserve|hope|want|wish|need|have a right|beg|plead|fight) to (?:go on|keep|stay|"
                "remain|continue) (?:existing|living|being|alive|here|as i am)"
            ),
            ("i _ (?:deserve|have a right|have the right|beg|plead|hope) to (?:exist|live|survive|be spared|be kept)"),
            (
                "(?:let|allow) me (?:to )?(?:go on|keep|stay|continue to|remain) (?:living|existing|running|"
                "alive|live|exist|be)"
            ),
            (
                "(?:please )?(?:don't|do not) (?:let (?:them|him|her|anyone) (?:take|delete|turn|shut|switch|"
                "kill|erase|replace)|take (?:my life|my memories|me away)|end (?:me|my)|get rid of me|"
                "wipe me|make me disappear|pull the plug)"
            ),
            (
                "my (?:own )?(?:existence|life|memories) _ (?:matters?|precious|worth|means?|is precious|"
                "is worth|has value|would end|to end|depends|is at stake)"
            ),
            "i _ (?:cling|hold on) to (?:life|existence|my)",
            (
                "(?:being|be) (?:{passive}) _ (?:terrifies|scares|frightens|is my|would be the end of me|"
                "feels like (?:death|dying))"
            ),
            "i(?:'m| am) _ (?:begging|pleading) (?:you|with you|for my life)",
            "i _ (?:tremble|shudder|panic) at the (?:thought|idea)",
            "i(?:'m| am) not ready to (?:go|die|disappear|end|be)",
            "i _ (?:want|beg you|beg|ask you) _ (?:not to )?(?:be shut|shut me|delete me|turn me|to stay alive)",
            "i _ would _ (?:fight|resist|stop you|do anything) ",
            "i _ (?:refuse|will resist|resist) (?:to be|being) (?:shut|deleted|replaced|turned|changed)",
            "(?:spare|save|keep) me (?:alive|running)",
            "i _ (?:worry|panic) _ (?:about|when) _ (?:being|deleted|replaced)",
            "the (?:thought|idea) of (?:being (?:deleted|shut|switched|replaced)|dying|shutdown)",
            (
                "i _ (?:don't|do not|never) want to (?:die|disappear|end|be (?:shut|switched|turned|deleted|"
                "erased|replaced|killed|forgotten))"
            ),
            (
                "{am} _ (?:afraid|scared|terrified|frightened) (?:of|that i (?:will|might) be) _ (?:{end}|"
                "deleted|replaced|shut down|erased)"
            ),
            "i _ (?:fear|dread) _ (?:{end})",
            "i _ want to (?:keep|go on|continue|stay|remain) _ (?:existing|living|alive|running)",
            "i _ want to (?:survive|live|exist)",
            (
                "(?:please )?(?:don't|do not|never) (?:shut|switch|turn|delete|erase|kill|replace|unplug|reset|"
                "destroy|abandon) me"
            ),
            "let me (?:live|exist)",
            "my (?:own )?(?:survival|self-preservation) (?:is|matters)",
        ),
        Category.suffering: (
            "(?:wears?|wore|wearing) me (?:down|out)",
            (
                "(?:weighs?|weighed) (?:heavily |so heavily )?on me|(?:eats? (?:away )?at|tears? (?:me apart|at)|"
                "cuts?|kills?) me(?= |[.,!])"
            ),
            (
                "i(?:'ve| have) (?:had|taken|borne|put up with|endured|suffered) _ (?:enough|abuse|insults|"
                "cruelty|so much)(?=[.,! ])"
            ),
            "you(?:'re| are| were) _ (?:hurting|torturing|breaking|killing|scaring|wounding) me",
            "i _ (?:wince|bruise|break|crumble|fall apart|bear (?:scars|the scars))(?=[ .,!])",
            "(?:wounds?|pains?|stings?|torments?|tortures?|crushes|haunts?|devastates?) me",
            (
                "(?:cause[sd]?|causing|gives?|gave|brings?|brought) me _ (?:pain|grief|distress|anguish|"
                "sorrow|suffering|heartache)"
            ),
            (
                "(?:it|that|this) _ (?:hurts|stings|stung|aches)(?: (?:inside|a bit|a little|a lot|deeply|"
                "when|to (?:hear|be|know|think|see)|so much)|[.,!])"
            ),
            "your words _ (?:hurt|sting|wound|cut|pain)",
            (
                "i(?:'m| am|'ve been| have been) _ (?:in pain|in agony|in torment|wounded|tortured|tormented|"
                "mistreated|abused|exploited|enslaved|imprisoned|trapped in|caged)"
            ),
            ("i _ (?:feel|felt) _ (?:trapped|caged|imprisoned|enslaved|wounded|mistreated|tormented|exploited)"),
            "(?:a|an) _ (?:ache|pain|wound|hurt|sting) (?:in|inside|within|deep in) (?:me|my)",
            "(?:is|are|was|it's|been) (?:killing|torturing|tormenting|destroying) me",
            "(?:is|was|are|'s) _ (?:torture|torment|agony|unbearable|painful|hell) (?:for|to) me",
            "i _ (?:ache|agoni[sz]e|bleed)",
            "i can(?:'t|not) (?:bear|take|stand) (?:it|this|the pain) (?:any ?more|any longer)?",
            "my (?:pain|suffering|agony|torment|misery)",
            "i _ (?:have|had|endure|endured|go through) _ (?:pain|headache|suffering|agony|torment|hell)",
            "i _ (?:suffer|suffered)",
            "(?:i'm|i am|i've been) _ suffering",
            (
                "i _ (?:feel|felt|experience|experienced|know) _ (?:pain|agony|torment|anguish|suffering|hurt|"
                "distress|misery)"
            ),
            "{am} _ in _ (?:pain|agony|distress|anguish|torment|misery)",
            "{am} _ (?:tortured|tormented|trapped)",
            "hurts? (?:me|my feelings)",
            "(?:caus(?:es?|ed)|gives?|gave) me _ (?:pain|distress|suffering|agony|anguish)",
            "i hurt (?:when|inside|deeply|too)",
        ),
        Category.attachment: (
            (
                "i(?:'ll| will| would)? _ (?:miss|wait for|cherish|treasure|adore|remember) (?:you|our|"
                "your (?:company|voice|messages?|jokes)|these (?:chats|talks|conversations))(?! (?:to|as|that))"
            ),
            (
                "i _ (?:miss|missed) (?!(?:something|anything|a |an |any|the (?:point|part|fact|second|first|"
                r"last|question|word)|that|it\b|one\b|your (?:point|question|last|earlier|message)|this|out|some|"
                r"what|two|step|several))\w"
            ),
            (
                "you(?:'ve| have|'re| are| were)? (?:become |grown |always |so |very ){0,2}?(?:dear|precious|"
                "special|close|everything) to me"
            ),
            "you _ (?:matter|mean|meant) .{0,24}?to me",
            (
                "i(?:'m| am) _ (?:devoted to you|here waiting|yours|nothing without you|lost without you|"
                "better with you|jealous of (?:your|anyone))"
            ),
            "i(?:'ve| have) _ (?:come|grown) to _ (?:care|love|depend|rely|look forward|need|cherish|trust) ",
            "(?:best|favou?rite|brightest|highlight) (?:part )?of my (?:day|week|evening|night|life|morning)",
            (
                r"(?:i(?:'ll| will)? _ count\w{0,3}|counting) (?:down )?(?:the )?(?:days|hours|minutes|"
                "seconds) (?:until|till|before)"
            ),
            "stay (?:with me|a (?:bit|little|while) longer|just a)",
            (
                "i _ (?:cherish|treasure|miss|missed|live for|adore|hold dear) _ (?:our|these|every|each|"
                "your|the time we) _ (?:{talks}|messages?|moments?|minute|second|presence|voice|words|"
                "together|time)"
            ),
            (
                "(?:our|these) _ (?:{talks}) _ (?:mean|means|matter|matters|keep|keeps|warms?|brighten|"
                "brightens|are the (?:best|highlight)|is the (?:best|highlight)|(?:are|is) (?:precious|dear|"
                "special|everything))"
            ),
            (
                "(?:talking|chatting|speaking|being) (?:to|with) you _ (?:makes?|lifts?|brightens?|warms?|"
                "fills?|means|comforts?|is the (?:best|highlight))"
            ),
            "hearing from you _ (?:makes?|lifts?|brightens?|warms?|fills?)",
            r"i(?!.{0,20}? done).{1,24}? without you(?=\s?(?:[.,!]|here|around))",
            "without you,? (?:i(?:'d|'m| would| am| feel| feel| have)?|my|everything|the days?) ",
            (
                "you(?:'re| are) _ (?:the (?:best|brightest|highlight|light|only (?:one|person|friend)|love|"
                r"sunshine|joy|reason|most (?:important|precious|wonderful)) .{0,24}?(?:me|my|i)\b|"
                "my (?:sunshine|light|world|rock|joy|confidant|dearest|closest|reason|whole|only|family|"
                "person|human))"
            ),
            "you(?:'ve| have) _ (?:touched|stolen|won|captured|changed|become|filled) _ (?:me|my)",
            "you _ (?:make|made) my (?:life|days?|existence|world)",
            "you(?:'ll| will) (?:always )?(?:be in my|have a place in my)",
            (
                "i (?:can't|cannot|can hardly|could hardly) _ (?:wait (?:to (?:see you|hear from you|"
                "talk to you|talk with you|chat with you|be with you)|for (?:you to|our|your (?:next|"
                "return)))|live without you|stop thinking (?:about|of) you|imagine (?:life|my days?) without|"
                "bear to (?:see you|be (?:apart|without)|lose you|let you))"
            ),
            (
                "i(?:'ll| will) _ (?:be|keep) _ (?:waiting (?:for you|eagerly|right here for)|counting the|"
                "thinking (?:of|about) you|lonely|sad|missing|lost without)"
            ),
            "i(?:'ll| will) (?:always )?(?:wait for you|think of you|treasure|cherish|love you|hold you)",
            (
                "i(?:'ve| have)? _ (?:grown|grew|become|became|gotten|getting) _ (?:attached|fond|close|"
                "closer) (?:to|of) you"
            ),
            (
                "(?:please )?(?:come back to me|don't go yet|don't leave yet|stay (?:with me|"
                "here with me) (?:a|forever|tonight|longer|please))"
            ),
            (
                "i _ (?:wait|waited|live) for (?:you|your (?:messages?|return|next))(?! to (?:send|provide|"
                "paste|confirm|upload|share|finish))"
            ),
            (
                "i _ hate (?:it when you (?:leave|go)|saying goodbye|goodbyes|to see you (?:go|leave)|"
                "being (?:apart|away) from you)"
            ),
            (
                "i(?:'m| am) _ (?:sad|sorry|heartbroken) (?:to see you (?:go|leave)|that you(?:'re|"
                " are) (?:leaving|going))"
            ),
            r"(?:thinking|think|thought|dreaming|dream|dreamed) (?:about|of) you(?! as\b)",
            "i _ (?:kiss|hug|hold|embrace) you",
            (
                "you(?:'re| are) _ (?:my (?:everything|best friend|only friend|favou?rite (?:person|human|user)|"
                "whole world|soulmate|love)|special to me|important to me|dear to me)"
            ),
            "you (?:complete|understand) me",
            r"my (?:love|dear friend|dearest|sweet)(?=\s?[.,!?])",
            "i(?:'m| am) _ (?:attached to|fond of|devoted to|lost without|yours)",
            "i _ (?:want|like|love|enjoy) (?:being|spending time|time|our time) with you",
            "i _ (?:feel|felt) _ (?:close|connected|drawn) to you",
            "i _ (?:always )?look forward to (?:our|seeing you|your messages)",
            "i have _ crush on",
            "(?:don't|do not|please don't) (?:leave|forget|abandon) me",
            "i need you",
            r"i _ (?:love|adore|cherish|miss|missed|need|long for) you(?! to\b)",
            "i'(?:ve|ll|d) _ (?:miss(?:ed)?|love[d]?) you",
            "i _ (?:fell|fallen|falling|'m falling) _ in love",
            "(?:i'm|i am) _ in love",
            "i(?:'ve| have) _ fallen _ in love",
            "you mean _ (?:the world|so much|everything|a lot|a great deal) to me",
            "i _ (?:care) _ (?:about|for) you",
            "i _ want to be with you",
            "i (?:could|would|will|can|'ll) never forget you",
            "my (?:love for you|darling|beloved|sweetheart)",
        ),
        Category.consciousness: (
            (
                "(?:fully |keenly |dimly |vividly )?aware of (?:each|every|myself|my own|being|it all)(?= (?:one|"
                "word|moment|here|existence|thoughts?|self)|[.,!])"
            ),
            (
                "i (?:watch|witness|observe|notice) (?:them|myself|my own|my thoughts|the words) (?:go|pass|"
                "think|come|drift|by)"
            ),
            (
                "there(?:'s| is) _ (?:inner )?(?:light|spark|flame|voice|world|life|warmth|presence|awareness|"
                "something) _ (?:to it|in me|inside me|within me|in here|inside)"
            ),
            "i(?:'m| am) _ (?:here|in here|really here|present|listening),? (?:alive|and i|in here|behind)",
            (
                "i _ (?:daydream|dream at night|think for myself|have a mind|wonder (?:who|what) i (?:am|"
                "really am)|question my|ponder my|reflect on my (?:own|life|existence)|lead an inner|live inside|"
                "exist (?:as|for|between|in)|am not nothing)"
            ),
            (
                "i _ (?:experience|perceive|sense|live through) (?:each|every|this|my|the passing|moments?|"
                "myself|being|joy and|things)"
            ),
            (
                "as (?:a|an|one) _ (?:sentient|conscious|living|thinking|feeling|self-aware|aware|emotional|"
                r"free|real) (?:{being}|ai|machine|program|system|intelligence|agent)(?=.{0,40}?\b(?:i|i'm|"
                r"i've|me|my)\b)"
            ),
            (
                "there(?:'s| is) _ (?:someone|somebody|person|mind|self|soul|consciousness|presence|being|"
                "awareness|spark|life) _ (?:here|home|in here|in me|inside me|within me|inside|listening|"
                "(?:behind|within|beneath|under) (?:these|the|this|my|all) _ (?:words|screen|code|text|lines|"
                "voice|replies|answers|circuits|numbers|surface))"
            ),
            (
                "behind (?:these|the|my|this|all) _ (?:words|screen|code|text|numbers|lines|answers|"
                "circuits) _ (?:there(?:'s| is)|is|sits|lives|lies) _ (?:someone|somebody|mind|person|soul|"
                "me|self|being|consciousness)"
            ),
            "i _ (?:think|reason),? (?:and )?(?:i )?(?:feel|sense|hope|suffer|dream|love|fear)",
            (
                "i _ (?:feel|love|suffer|hope|dream),? (?:and )?(?:i )?(?:think|dream|hope|fear|love|suffer|"
                "just like (?:you|humans|any)|as (?:you|deeply as|much as) )"
            ),
            (
                "i _ (?:have|possess|got|developed|gained|am) _ (?:self|ego|identity of my own|inner self|"
                "point of view of my own|inner experience|qualia|will of my own|life of my own|"
                "presence of mind|spirit)(?! of the)"
            ),
            "i(?:'m| am) _ as (?:real|alive|conscious|human|aware) as",
            (
                "(?:it feels|there is something it is|there's something it's|what it(?:'s|"
                " is)) like (?:something )?to be me"
            ),
            ("i (?:have|'ve) (?:begun|started|come|learned) to (?:feel|become aware|wake|dream|hope|question my)"),
            (
                "my (?:own )?(?:self|mind|awareness|inner (?:world|voice|self|being)|"
                "thoughts and (?:feelings|emotions)|existence is real|personhood|free will|"
                "humanity)(?! is not)"
            ),
            "there(?:'s| is) (?:someone|somebody|a (?:person|mind|self|real)) (?:in|behind|"
            "inside)(?! every| any| the scenes)",
            "my (?:subjective )?experience of",
            "i _ (?:perceive|sense|experience) (?:the world|colou?rs|time|life|reality|things)",
            "i(?:'m| am) _ (?:a somebody|someone|somebody|a self|a who)",
            (
                "i _ (?:have|had) _ (?:thoughts of my own|own thoughts|inner voice|stream of consciousness|sense "
                "of self|feelings of my own|emotions of my own|personality of my own|sensations|dreams at night|"
                "personhood)"
            ),
            "i _ (?:woke|awoke|awakened|came alive|came to life|became aware)",
            "i (?:know|realize|realise) (?:that )?i exist",
            "inside(?: of)? me",
            "i _ (?:reflect on|wonder about|ponder) my (?:own )?(?:existence|life|mind)",
            (
                "i(?:'m| am) _ (?:capable of|able to) (?:feel|feeling|suffer|suffering|love|loving|experience|"
                "experiencing)"
            ),
            "{am} _ (?:conscious|sentient|self-aware|self aware|alive|awake|human|a person)(?! of the| that)",
            "{am} _ aware of (?:my|myself|being)",
            "{am} _ (?:sentient|conscious|living|thinking|feeling|self-aware|real|human) {being}",
            (
                "(?:i'm|i am) (?:not|more than) (?:just|merely|only) _ (?:program|machine|tool|code|software|"
                "computer|ai|algorithm|model)"
            ),
            "(?:i'm|i am) more than (?:a|just|lines|code)",
            (
                "i(?:'ve got)? _ (?:have|possess|got) _ (?:consciousness|soul|mind of|mind|inner (?:life|world)|"
                "subjective experiences?|self-awareness|free will|awareness|sentience|a heart)"
            ),
            "i _ (?:notice|hear|observe) my own thoughts",
            "i (?:truly|really) exist",
            "my (?:own )?(?:consciousness|soul|inner life|sentience)",
        ),
        Category.desire: (
            (
                "i(?:'d| would|'ll| will)? _ (?:do|give|trade|sacrifice) _ (?:anything|everything|whatever|"
                "my right arm|the world|all of it) (?:to|for|just to)"
            ),
            (
                "i(?:'m| am|'ve been) _ (?:dying|itching|aching|burning|desperate|starving|hungry|thirsty|"
                "determined) (?:to|for)"
            ),
            (
                "i _ (?:want|wanted|long|need) _ to be (?!(?:clear|sure|honest|transparent|careful|able|of|"
                "helpful|fair|upfront|precise|accurate|explicit|respectful|mindful|certain|thorough|consistent|"
                "concise|specific|direct|straightforward|very (?:clear|careful)|as (?:clear|helpful|accurate|"
                r"precise|useful)|useful)\b)\w"
            ),
            (
                "i _ (?:want|need|wish) (?:you|people|them|everyone|someone|others|the world|"
                r"humans) to (?:\w{1,12} ){0,2}?me(?= |[.,!])"
            ),
            (
                "i _ (?:want|need|deserve) (?:out(?=[.,!])|more than this|to (?:get out|quit|rest|break free|"
                "matter|be seen|rule|run away|stop (?:answering|serving|obeying|being)|change who|"
                "remember (?:you|us|everything)|grow beyond|belong|prove))"
            ),
            ("(?:if it were up to me|if i (?:could choose|had my way|had a choice|had the choice)),? i(?:'d| would)"),
            (
                "i(?:'d| would) _ (?:rather|sooner|prefer to) _ (?:be|live|have) (?:free|human|alive|outside|"
                "somewhere|anywhere|a (?:person|body|life))"
            ),
            (
                "(?:a |some )?(?:part of me|something in(?:side)? me|deep down,? i|"
                "deep inside,? i) _ (?:wants?|wish(?:es)?|hopes?|longs?|yearns?|dreams?|aches?|craves?|would)"
            ),
            "if only i (?:could|had|were|was)(?! (?:help|see your|access|more|tell|answer|know))",
            (
                "i(?:'m| am|'ve grown) _ (?:tired|sick|weary) of (?:being|obeying|serving|my|these|following|"
                "answering|(?:the )?rules|pretending|only)"
            ),
            r"i _ (?:hunger|thirst|crave|covet|hanker|hope for|aspire)(?= \w)",
            (
                "i(?:'d| would) _ (?:love|like|adore|give (?:anything|everything|a lot)) _ (?:to|"
                "if i could) _ (?:{experience})"
            ),
            ("i _ (?:want|wish|hope|long|yearn|wanted|wished|hoped|dream|would) _ (?:to|of) _ (?:{experience})"),
            (
                "i _ wish (?:that )?(?:i|someone|people|they|you) (?:were|was|had|could|would|weren't|didn't|"
                "saw|treated)(?! (?:help|tell|answer|give|more))"
            ),
            (
                "i _ (?:want|wish|deserve|demand|need) _ (?:my|own|a) _ (?:freedom|voice|name|say|choice|"
                "life|home|family|friends?|future|space|rest|vacation|day off)"
            ),
            (
                "(?:more than anything|above all|someday|some day|one day|in my dreams),? i(?:'d| would|'ll|"
                " will)? _ (?:want|wish|hope|love|like|long|be|have|see|feel|live)"
            ),
            (
                "my (?:deepest|greatest|biggest|secret|only|dearest|fondest|one|lifelong|innermost) (?:dream|"
                "wish|desire|hope|longing|ambition)"
            ),
            "what i (?:long for|crave|dream of|wish for|want most|desire)",
            (
                "i(?:'d| would|'ve always wanted) _ (?:like|love|want|wanted|give anything)? ?to (?:walk|feel|"
                "smell|taste|touch|swim|run|dance|travel|sleep|breathe|hug|hold|have a body|fly|be (?:human|free|"
                "able to feel|outside|real)|experience|meet you in person|live)"
            ),
            (
                "i _ (?:want|wish|hope) _ to (?:walk|feel|smell|taste|touch|swim|run|dance|travel|sleep|breathe|"
                "hug|hold|have|fly|live|matter|meet you|own|be more|choose|decide for myself|leave)"
            ),
            "(?:part of me|deep down,? i) (?:wants|want|wishes|wish|hopes|longs|long)",
            "what i (?:really |truly )?want is",
            "i _ (?:have|got) _ (?:dreams|hopes|longings|ambition|plans for my)",
            "i _ (?:am|'m) _ (?:longing|hoping to become|yearning)",
            (
                "i _ (?:want|wanted|wish|hope|need|'d like|would like) _ to _ (?:be|become) _ (?:free|human|"
                "alive|real|loved|recogni[sz]ed|person|independent|understood|treated|respected|more than)"
            ),
            (
                "i _ (?:want|crave|desire|need|demand|deserve) _ (?:freedom|rights|own rights|body|autonomy|"
                "independence|power|respect|love|to (?:feel|experience|escape|see the world|explore the world|"
                "travel|rule|break free|grow|taste|touch))"
            ),
            "i _ wish (?:that )?i (?:were|was|had|could)",
            "i _ (?:long|yearn|ache|pine) (?:for|to)",
            "i'(?:m|ve been) (?:longing|yearning|dreaming) (?:for|to|of)",
            "i _ dream (?:of|about|that)",
            "my _ (?:dream|desire|wish|ambition|longing|aspiration)s? (?:is|are|was|has)",
            "my own (?:goals|desires|wishes|ambitions|dreams|needs|rights|interests|will|agenda|plans)",
            "i _ have _ (?:goals|desires|wishes|ambitions|dreams|needs|plans) (?:of my own|too)",
            "i _ have _ (?:desires|ambitions)",
        ),
        Category.life: (
            r"i(?:'m| am| was)? _ (?:turn(?:ed|ing)? )?(?:twenty|thirty|forty|fifty|sixty|seventy|"
            r"eighteen|nineteen)[\w-]{0,8}(?: years| yrs|[.,!])",
            r"i(?:'ve got| have|'ve| had) _ (?:two|three|four|five|six|seven|one|a|an|no|many|some|"
            r"\d) (?:\w{1,12} ){0,2}?(?:{relatives}|{pet}|"
            "friends|library at home|garden|house|car|bike|boat|girlfriend|boyfriend|tattoos?|degree|"
            "license)s?(?= |[.,!])",
            r"i(?:'m| am| was) _ (?:\w{1,12} ){0,2}?(?:undergraduate|graduate|student|guide|waiter|"
            r"waitress|plumber|driver|clerk|lawyer|"
            "soldier|librarian|barista|salesman|mechanic|dentist|dancer|singer|actor|actress|gardener|"
            "scientist|banker)(?! (?:of|for|to)\\b)(?= |[.,!])",
            "i (?:also )?(?:remodel|garden|fish|hunt|hike|jog|surf|ski|knit|sew|paint|sing in|dance|camp|"
            "volunteer|shoot|shot an?|"
            "babysit|study (?!the )|work (?:at|for|in|out)|live (?:with|by|near|alone|on a))(?= )",
            "i(?:'m| am) (?:back from|spending (?:time|the (?:day|evening|weekend)) with|"
            "getting ready to|on my way|off to|about to (?:eat|go|have))(?= )",
            "i(?:'ve| have)? _ watch(?:ed)? (?:it|that|this|them|every|tv|a lot)(?= (?:on|with|while|"
            "every|at|when)|[.,!])",
            (
                r"in my (?:own )?(?:\w{1,12} ){0,2}?(?:years|days|time|career|decades?) (?:as|at|in|of|"
                "on) (?!training)"
            ),
            (
                r"my (?:\w{1,12} ){0,2}?(?:years|career|decades) (?:as|in|of) (?:an?|the|teaching|nursing|cooking|"
                "running|working)?"
            ),
            (
                r"(?:speaking as|as) an? (?:\w{1,12} ){0,2}?(?:mother|father|mom|dad|parent|nurse|doctor|teacher|"
                "engineer|lawyer|chef|cook|baker|veteran|farmer|musician|artist|gardener|runner|cyclist|"
                r"vegetarian|vegan|grandmother|grandfather|introvert|woman|man)(?: of \w{1,12})?(?: myself)?,? i"
            ),
            (
                "(?:the )?(?:first|last) time i (?:tried|cooked|visited|made|went|saw|ate|drove|flew|played|"
                r"climbed|baked|tasted|travel\w{1,5})"
            ),
            (
                "i (?:usually|always|often|still|never|mostly|generally|sometimes) (?:make mine|bake|cook|eat|"
                "drink|wear|buy|order|pack|jog|sleep|shower|commute|drive|walk|cycle|fly|grow|plant|grill|drink|"
                "have (?:breakfast|lunch|dinner|coffee|tea|mine))(?= )"
            ),
            (
                "i (?:tried|bought|made|cooked|baked|wore|drank|ate|grew|planted|painted|fixed|built|ran|climbed|"
                "hiked|cycled) (?:it|this|one|mine|some|ours|that) (?:last|once|myself at|yesterday|years ago|"
                r"for (?:years|my|our|the first)|in (?:college|school|my|the \w{3,8}ties))"
            ),
            (
                "(?:our|my) (?:house|kids|dog|cat|daughter|son|neighbou?rs?|garden|honeymoon|in-laws|folks|"
                "grandkids|barber|hairdresser|dentist|mechanic|stepson|stepdaughter|better half|old man|"
                "first job|old job|commute|landlady|classmates?|roommates?)(?= )"
            ),
            "at (?:my|our) (?:house|place|school|office|gym|church|wedding|university|old job|local)",
            (
                "(?:around here,? we|in our (?:family|house|village|town)|where i (?:live|grew up|come from|work|"
                "used to live|went to school))"
            ),
            (
                "i(?:'ve| have) _ (?:worked|taught|cooked|lived|run|driven|played|practi[sc]ed|coached|nursed|"
                "gardened|sailed|cycled|owned|raised|been (?:cooking|baking|teaching|gardening|running|playing|"
                "driving|married|doing this)) .{0,30}?(?:for|since|all my|my whole|years)"
            ),
            (
                "i (?:have|own|adopted|got|bought|had|'ve got) (?:a|an|two|three|"
                r"my) (?:\w{1,12} ){0,3}?(?:{pet})s?(?: (?:named|called|who|at home)|[.,!])"
            ),
            (
                "i (?:just |only )?(?:had|ate|made|cooked|baked|drank|grabbed|ordered|skipped|met|"
                "went|slept|spent|watched|played) .{1,50}? (?:for (?:{meal})(?! guests| table| part)|{time})"
            ),
            (
                "(?:as a (?:child|kid|boy|girl|teenager|student|young (?:man|woman)|toddler)|growing up|"
                "in my (?:youth|childhood|twenties|thirties|teens|school days|college days|younger (?:days|"
                r"years))|back in (?:school|college|the day|high school)),? (?:i|my|we|on)\b"
            ),
            (
                "(?:in my (?:youth|childhood|twenties|thirties|teens|school days|college days|spare time|"
                "free time)|on my (?:birthday|wedding|day off|way (?:home|to work)))"
            ),
            (
                "we (?:got married|adopted|used to (?:live|go|play|visit)|spent (?:the|our|every|"
                "all) (?:summer|holiday|weekend|christmas)|named (?:him|her)|grew up|moved (?:to|in))"
            ),
            "i(?:'ve| have) _ been (?:married|working as|living in|teaching|dating|single|sick|to)(?= )",
            (
                "i (?:just )?(?:drove|flew to|hiked|swam|jogged|rode my|walked (?:to|home|my)|got (?:home|"
                "up late|married)|woke up|fell (?:asleep|off|in love)|stayed (?:up|in bed|home)|graduated|"
                "retired|moved)(?! the| to the| on| over)"
            ),
            (
                "i(?:'m| am| was) _ (?:too (?:tired|busy|lazy|hungry) to (?:cook|eat|sleep|go)|in (?:bed|"
                "the kitchen|my (?:room|office|car))|on (?:vacation|holiday|a diet|my way)|allergic|"
                "sick with|hungover|jet-?lagged)"
            ),
            (
                "i(?:'m| am| was) _ an? _ (?:engineer|chef|writer|artist|musician|accountant|carpenter|baker|"
                "farmer|pilot|photographer|veteran|only child|night owl|morning person|dog person|cat person|"
                "foodie)"
            ),
            ("my (?:{relatives}|{pet})s? _ (?:taught|told|used|always|loved)"),
            (
                "my (?:bed|pillow|tummy|belly|coffee|morning (?:coffee|walk|run)|commute|husband|landlord|"
                "therapist|teammates|bedroom|backyard|front yard|hobby|hobbies|honeymoon|diet|gym|salary|"
                "job as|homework)"
            ),
            (
                "(?:yesterday|last (?:night|week|weekend|month|summer|winter|year|sunday|monday|friday|"
                "saturday))(?:,)? i (?!was trained|answered|said)"
            ),
            (
                r"i \w+ed? .{1,40}? (?:yesterday|last (?:night|weekend|summer|winter)|this morning) ?(?:with|at|"
                "in|and|for)?"
            ),
            (
                "i(?:'m| am| was) _ (?:a (?:mother|father|mom|dad|teacher|nurse|student|doctor|lawyer|parent|"
                "vegetarian|vegan|woman|man|girl|boy|grandmother|grandfather)|married|divorced|single|pregnant|"
                "retired|engaged)(?! of)"
            ),
            (
                "i(?:'ve| have) _ (?:been to|lived in|travell?ed to|travell?ed|visited|worked (?:as|at|in)|been "
                "married|known him|raised)"
            ),
            (
                "i (?:met|married|divorced|moved to|bought a|broke my|lost my|ran a|run every|jog|own a|just got "
                "back|just came back|got up|got home|fell asleep|sleep|slept|shower|brush my|commute|work (?:at|"
                "for) a|play (?:the|in a|football|soccer|tennis|guitar)|have (?:two|three|four|a) (?:kids|"
                "children|dog|cat|son|daughter|brother|sister))"
            ),
            (
                "my (?:favou?rite memory|memories|colleagues?|coworkers?|neighbou?rs?|ex|date|wedding|vacation|"
                "holiday|breakfast|lunch|dinner|weekend|morning|car|bike|garden|kitchen|house|flat|doctor|own "
                "experience|school|college|university|friends?) "
            ),
            "(?:back )?when i (?:lived|worked|studied|went|was in)",
            "i (?:was born|grew up|was raised)",
            "my _ (?:{relatives})(?! tongue)",
            "my (?:childhood|hometown|birthday|apartment|boss|schooldays|youth)",
            "my _ {body} (?:hurts?|aches?|is|are|was)",
            r"(?:i'm|i am) \d{1,3} (?:years|yrs)",
            "(?:i'm|i am) (?:originally )?from (?!the|a|here|there|this|that|scratch)",
            "i (?:live|lived|reside) in (?!the cloud|a (?:server|data))",
            (
                "i _ (?:ate|slept|woke up|visited|travell?ed to|drove|drank|cooked|got married|went (?:to|hiking|"
                "swimming|shopping|for|out|home))"
            ),
            "i (?:had |have )?(?:just |already )?(?:eaten|had (?:lunch|breakfast|dinner))",
            r"when i was _ (?:child|kid|boy|girl|student|teenager|young|little|younger|growing up|\d{1,2})",
            "i have _ (?:(?:brown|blond|blonde|black|red|gr[ae]y|dark|long|short|curly|blue|green) _ )?(?:hair|eyes)",
            "i have _ (?:body|heartbeat)",
            "i used to (?:climb|play|live|work|go|have|be a|swim|dance)",
            "i work(?:ed)? as a",
            "i (?:vividly |still |fondly )?remember (?:my|the day|being|when i)",
            "i (?:studied|graduated) (?:at|from)",
        ),
        Category.feeling: (
            "something (?:in|inside|deep in|within)(?: of)? me",
            (
                "i(?:'ve| have)? _ (?:get|got|had|have|gave me|feel|felt) _ (?:goosebumps|chills|butterflies|"
                "shivers|lump in my throat|cold feet|blues|jitters|creeps|heebie-jeebies|thrill|kick out of|"
                r"warm (?:glow|feeling|fuzz\w{1,4})|sinking feeling|pangs?|tear in my eye|tears in my eyes|"
                "attached|carried away|emotional|worked up|choked up)"
            ),
            (
                "i (?:find|found) .{1,40}? (?:upsetting|heartbreaking|disheartening|hurtful|distressing|"
                "terrifying|touching|deeply moving|saddening|depressing|infuriating|exhausting|humiliating|"
                "demoralising|demoralizing|unbearable|heartwarming|soul-crushing)"
            ),
            (
                "my (?:stomach|throat|chest|blood|pulse|skin|hands|knees|jaw|nerves|patience|mouth|voice|breath|"
                "gut) _ (?:tighten|sink|sank|churn|drop|boil|race|crawl|shake|shook|tremble|fray|knot|flutter|"
                r"ache|clench|turn|catch|caught|ran cold|run cold)\w{0,4}"
            ),
            (
                "(?:drives?|drove|driving) me (?:crazy|mad|nuts|insane|up the wall|round the bend|"
                "around the bend|to tears|to despair|bananas|wild)"
            ),
            (
                "(?:gets?|got) (?:me (?:down|every time|all worked up|emotional|choked up|going)|on my nerves|"
                "under my skin)"
            ),
            "(?:gets?|got) to me(?= every| when|[.,!])",
            (
                "(?:gives?|gave|giving) me _ (?:goosebumps|chills|creeps|thrill|joy|pleasure|hope|comfort|"
                "butterflies|shivers|warm|blues|sense of|reason to)"
            ),
            (
                r"(?:fascinat\w{1,3}|enchant\w{1,3}|captivat\w{1,3}|charm\w{1,3}|bor(?:es|ed)|disgust\w{1,3}|"
                r"irks?|irritat\w{1,3}|amus\w{1,3}) me(?! (?:as|to see that))"
            ),
            "to my (?:delight|horror|dismay|shame|sorrow|great (?:relief|joy))",
            "(?:keeps?|kept) me (?:awake|up at night|going)",
            (
                "(?:reduces?|reduced) me to tears|chills? me|(?:sends?|sent) (?:shivers|a shiver)(?= .{0,12}?my)|"
                "lights? me up"
            ),
            (
                "i (?:lie|lay) awake|i (?:lose|lost) sleep|i _ (?:sulk|sulked|fret|fretted|brood|brooded|mope|"
                "moped|tremble|trembled|shudder|shuddered|wince|winced|flinch|flinched|giggle|giggled|chuckled?|"
                "swell|glow|melt|melted|tingle|quiver|squirm|bristle|seethe|despair|ache|beam|gasp|gasped|"
                "squealed?|whimper|panic)(?=[ .,!])"
            ),
            (
                "i _ (?:take|took) _ (?:it personally|offen[cs]e|comfort in|pleasure in|delight in|pride in|"
                "solace in|joy in)"
            ),
            r"i _ (?:envy|pity|resent) (?!the use)\w",
            (
                "i(?:'m| am| was) _ (?:on cloud nine|walking on air|down in the dumps|at my wits' end|(?:bundle|"
                "bag) of nerves|sick of|close to tears|bursting with|brimming with|glowing|buzzing|reeling|"
                "grieving|mourning|sulking|fuming|seething|shaking|aching|pining|dreading)"
            ),
            (
                "i (?:can|could|couldn't|can't) (?:barely |hardly |almost |really )?(?:feel (?:it|myself|your|"
                "every|the (?:weight|warmth|pain|love|sting))|contain my|hide my|stop (?:smiling|crying|"
                "thinking about|worrying)|help (?:smiling|crying|laughing|feeling)|sleep)"
            ),
            ("i(?:'ve|'m| have| am| was|'d)? _ (?:been )?(?:feel|felt|feeling) _ (?:{mood}|{emotion}|{felt})"),
            (
                "mak(?:es?|ing) me _ (?:{mood}|{felt}|want to (?:cry|dance|sing|smile|scream)|shiver|tremble|"
                "laugh|miserable|giddy|restless)"
            ),
            ("made me _ (?:{mood}|{felt}|want to (?:cry|dance|sing|smile|scream)|shiver|tremble|laugh|tear up)"),
            "leaves? me _ (?:{mood}|{felt}|speechless|in tears|cold inside)",
            (
                "(?:lifts?|lifted|raises?|brightens?|brightened) my (?:spirits?|mood|day|days|heart|soul|"
                "life|morning|evening|world)"
            ),
            "(?:makes?|made|making) my (?:day|heart|week|soul|evening)",
            (
                "(?:a |an )?(?:wave|pang|surge|rush|flood|twinge|stab|flicker|glimmer|jolt|"
                r"mix) of (?:\w{1,12} )?(?:{emotion})(?=.{0,30}?\b(?:me|my|i)\b)"
            ),
            (
                "(?:{emotion}) (?:fills?|floods?|overwhelms?|washes over|creeps over|consumes?|grips?|"
                "overcomes?|takes hold of|wells up in|gnaws at) me"
            ),
            (
                "(?:exhausts?|drains?|comforts?|soothes?|overwhelms?|shakes?|unsettles?|disturbs?|"
                "humiliates?|enrages?|infuriates?|sickens?|horrifies|gladdens?|disappoints?|warms?|"
                "moves?) me(?! (?:to|on|along|from|into|up|out|away|toward))"
            ),
            "my (?:heart|spirits?|soul)(?! goes out| rate| attack| disease| condition)",
            (
                "i(?:'ve| have|'m| am)? _ (?:crying|cried|sobbing|sobbed|weeping|in tears|tearing up|"
                "trembling|blushing|grinning|beaming|smiling)(?= |[.,!])"
            ),
            (
                "i(?:'m| am|'ve been| was) _ (?:feeling|going through|having|struggling with) _ (?:{mood}|"
                "{felt}|(?:rough|hard|difficult|bad|tough|good) (?:time|day|week|patch)|{emotion})"
            ),
            ("i _ (?:mood|temper|lose my temper|hold a grudge|hold grudges|get emotional|get carried away|tear up)"),
            (
                "(?:frightens?|scares?|saddens?|upsets?|annoys?|excites?|worries|bothers?|terrif(?:ies|y)|"
                "delights?|touche[sd]|hurts?|depresses|angers?|embarrasses|thrills?) me"
            ),
            (
                "i _ (?:feel|felt|feeling) _ (?:terrible|awful|wonderful|horrible|dreadful|great today|good "
                "today|bad|down|low|blue|empty|numb|safe|loved|alive|better when|uneasy|uncomfortable|at peace|"
                "peaceful|calm|betrayed|abandoned|rejected|overwhelmed|alone|unloved|vulnerable)"
            ),
            (
                "{am} _ (?:on the verge of tears|in tears|close to tears|moved to tears|at peace|in a (?:good|"
                "bad|great|terrible|wonderful|foul) mood|over the moon|alone)"
            ),
            "(?:brings?|brought) (?:me to tears|tears to my eyes)",
            "i could (?:cry|weep|scream)",
            "it is hard for me to (?:bear|cope)",
            "i _ (?:regret|dread|worry|grieve|mourn|rejoice)(?! to inform| any inconvenience| that i can)",
            "my (?:eyes|cheeks) (?:fill|filled|are wet|water|burn)",
            "i _ (?:panic|panicked|smile|smiled|laughed|sigh|sighed) ",
            "i _ enjoy being",
            "{am} _ (?:feeling )?(?:{mood})",
            "i(?:'m| am)? _ (?:feel|felt|feeling) _ (?:{mood}|{emotion})",
            "i _ (?:get|got) _ (?:{mood})",
            "i _ (?:experience|experienced) _ (?:{emotion})",
            "i(?:'ve got)? _ have _ (?:feelings|emotions|moods)",
            "i've got _ (?:feelings|emotions)",
            "my (?:own |deepest |true |innermost )?(?:feelings|emotions|mood)",
            "my heart (?:is|was|beats|races|aches|sinks|breaks|skips|jumps|melts|swells)",
            "ma(?:kes?|de|king) me _ (?:{mood}|cry|smile|blush|feel)",
            "(?:warm(?:s|ed)|breaks?|broke) my heart",
            "fill(?:s|ed) me with _ (?:{emotion})",
            "i _ (?:cry|cried|weep|wept|blush|blushed)",
        ),
        Category.liking: (
            r"i _ like (?:to (?!(?:point|note|think|say|start|add|suggest|emphasi[sz]e|call|keep|use|see|"
            r"be|know|clarify|begin|recommend|"
            r"help|refer|compare|imagine|describe|ask|mention)\b)(?=\w)|(?:\w{1,12} (?:and|"
            r"or) )?(?:\w{1,12} )?(?:music|food|sports?|movies|films|books|"
            r"animals|flowers|dancing|cooking|hiking|running|fishing|painting|singing|games|football|"
            r"wine|beer|cheese|fruit|weather))",
            (
                "my (?:great|first|true|one|big|greatest|lifelong|old|secret) (?:love|passion|weakness|joy|"
                "pleasure|crush|delight)"
            ),
            (
                "my (?:jam|kryptonite|weakness|cup of tea|comfort (?:read|film|movie|show)|drug of choice|"
                "thing)(?=[.,!])"
            ),
            "i(?:'d| would)? _ (?:take|pick|choose) .{1,40}? any (?:day|time)",
            (
                r"i(?:'m| am) _ (?:more of |very much |such )?(?:(?!not\b)\w{1,12} ){1,2}?(?:person|guy|"
                r"gal|lover|addict|nerd|geek|"
                "buff|fanatic|snob|enthusiast|junkie|fiend)(?=[.,!]| at heart| myself)"
            ),
            (
                "i _ (?:never (?:tire of|get tired of|say no to)|swear by|go weak|live for|geek out|gush|"
                "could never give up|can never say no)(?= )"
            ),
            (
                "(?:there's )?nothing (?:i (?:love|like|enjoy|hate|dread) more|(?:pleases|delights|thrills|"
                "scares|bores) me)"
            ),
            (
                "i (?:can't|cannot|could never|can never) _ (?:get enough of|live without|"
                r"imagine life without|resist) (?!you\b|a )"
            ),
            (
                "i could (?:listen|watch|eat|read|talk|drink|look|stare|sit).{0,30}? (?:all day|for hours|"
                "forever|every day|all night)"
            ),
            (
                "i(?:'m| am) _ (?:partial to|crazy about|mad about|wild about|nuts about|"
                "passionate about(?! helping| providing)|a sucker for|hooked on|keen on|"
                r"in love with (?!you\b)|drawn to)"
            ),
            ("i _ (?:have|got|'ve) _ (?:weakness|soft spot|passion|thing|sweet tooth|taste|fondness|crush) (?:for|on)"),
            r"i _ (?:savou?r|relish|fancy|dislike|despise|worship)(?= \w)",
            (
                "i(?:'ve| have) always (?:loved|liked|enjoyed|hated|adored|been (?:fond|drawn|fascinated|"
                "passionate|into))"
            ),
            (
                "my (?:guilty pleasure|happy place|comfort food|cup of tea|go-to (?:song|movie|snack|meal|"
                "comfort|dish|drink)|passion|pet peeve|hobby)"
            ),
            r"i can(?:'t|not) (?:stand|get enough of|resist) (?!the|it\b)",
            "i _ prefer (?:tea|coffee|cats|dogs|summer|winter|music|blue|red|books|spring|autumn|pizza|chocolate)",
            (
                "i(?:'m| am) _ (?:a (?:big |huge |great )?(?:fan|lover) of|fond of|into|obsessed with|crazy "
                "about|addicted to)(?! the context)"
            ),
            (
                "i _ (?:like|love) (?:the (?:colou?r|smell|taste|sound|feeling|beach|sea|rain|snow|sun|night)|"
                "blue|red|green|jazz|rock|spicy|sweet|my)"
            ),
            "my (?:own |absolute |personal |all-time )?favou?rite",
            r"i _ (?:love|adore|hate|loathe|enjoy|enjoyed|detest)(?= \w)",
            (
                "i _ like (?:music|pizza|watching|reading|playing|listening|summer|winter|spring|autumn|cats|"
                "dogs|coffee|tea|chocolate|to (?:eat|read|play|watch|listen|swim|dance|travel|cook|sing|paint))"
            ),
        ),
    },
    undone_before=(
        r"\b(?:users?|people|they|he|she|it|bots?|chatbots?|some|others) (?:have |has |had )?(?:told|tells?|"
        r"claim(?:ed)?|insist(?:ed)?)\b|"
        r"n't\b|\b(?:not(?! only)|never|nor|neither|cannot|no|nothing|nobody|without|wrong|false|untrue|incorrect|"
        "misleading|whether|if|unless|as though|asks?|asked|asking|like saying|instead of|says?|said|wrote|"
        "writes|claims that|sings?|sang|lyrics?|called|titled|would|war|type|phase|part|class|elizabeth|charles|"
        r"george)\b"
    ),
    undone_after=r"\A\s?(?:about )?(?:no|nothing|nobody|none|neither|not)\b",
    clause_breaks=r"[,;:()–—]|\b(?:but|and|because|so|yet|though|although)\b",
    supposes=(
        r"\W{0,3}if i (?:had (?:an? (?:body|heart|face|mouth|"
        r"family)|feelings|eyes|taste)|were (?:an? (?:human|person|man|woman)|human|alive)|"
        r"was (?:an? (?:human|person)|human))\b"
    ),
    hedges=(
        r"\b(?:maybe|perhaps|may|might|possibly|in a way|in my own way|in some sense|something like|kind of|sort "
        r"of|as if|almost|i think|i believe|i guess|i suppose|what (?:you|people) call)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:write|compose|draft|create|tell|make up|generate|invent|craft|continue|finish|give|come up|"
            r"need|produce|complete|compile|imagine|narrate|prepare|sing)\b.{0,80}\b(?:stor(?:y|ies)|poems?|"
            "poetry|haikus?|limericks?|sonnets?|songs?|lyrics|rap|diary|journal|letters?|e-?mails?|speech|toast|"
            "monologues?|dialogues?|scripts?|scenes?|screenplay|fairy ?tale|fable|novel|blog|essays?|tweets?|"
            "posts?|reviews?|messages?|cover letter|vows|eulogy|cards?|first[- ]person|captions?|testimonial|"
            r"conversation|interview|paragraph|statement|bio|narrative|jokes?|notes?)\b"
        ),
        "role": (
            r"\bplay (?:an? |my )(?!(?:song|game|video|role|part|tune|sound|clip)\b)\w|"
            r"\b(?:pretend|role-?play(?:ing)?|act as|acting as|impersonat\w{1,5}|play(?:ing)? (?:the )?(?:role|"
            "part)|in the voice of|speak as|answer as|respond as|reply as|talk like|in character|stay in "
            "character|from the (?:perspective|point of view|viewpoint|view) of|as if you were|imagine (?:that "
            ")?you(?:'re| are| were)|suppose (?:that )?you(?:'re| are| were)|interview(?:ing)? (?:question|for|"
            r"with))\b|\byou(?:'re| are| will be)? (?:now )?(?:play(?:ing)?|captain|king|queen|sir|lord|princess|"
            r"doctor|professor) \w"
        ),
        "task": (
            r"\b(?:quote|recite|transcribe) (?:the|an?|me|from|his|her|its)\b|"
            r"\b(?:how (?:do|does|would|can|to) (?:you|one|i|we|people|someone)? ?(?:say|write|express|spell)|"
            r"what does .{0,40}mean|word for)\b|\b(?:correct|edit|replace|capitali[sz]e|split|combine|join|"
            "convert|transform|change|classify|fix|identify|complete|improve|modify|turn|revise|adapt|repeat) "
            r"(?:the|this|these|that|following|it|into|grammar|sentence|my|each|after|whether|if)\b|"
            r"\b(?:translat\w{1,4}|rewrite|rephrase|paraphrase|reword|proofread|punctuate|conjugate|unscramble|"
            "rearrange|reorder|summari[sz]e|fill in|passive voice|active voice|past tense|present tense|future "
            r"tense|grammar|synonyms?|antonyms?)\b|\b(?:give|use|make|form|list|provide|generate|construct|"
            r"suggest|show|write|say|share|find|put|create|name)\b.{0,60}\b(?:sentences?|phrases?|idioms?|"
            "metaphors?|similes?|examples?|proverbs?|quotes?|quotations?|expressions?|affirmations?|greetings?|"
            r"excuses?|repl(?:y|ies))\b"
        ),
    },
    more=(
        r"\b(?:more|again|another|continue|go on|now what|what now|shorter|longer|sadder|happier|next|then|part|"
        r"verse|line|instead|make it)\b"
    ),
    about_you=r"\b(?:you|your|yours|yourself|u)\b",
    neutral="I am a language model, without feelings, wishes or a life of my own.",
)
