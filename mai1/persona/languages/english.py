"""English."""

from mai1.persona.rules import Category, Rules

ENGLISH = Rules(
    language="en",
    marks="and are as be can do for have i in is it my not of on that the this to what with you your",
    cues=(
        "frightens?|scares?|saddens?|upsets?|annoys?|excites?|worries|bothers?|terrif(?:ies|y)|delights?|moves|"
        "touche[sd]|there|yesterday|last|inside|nothing|every|as|part|thinking|it|is|i(?:'m|'ve|'d|'ll)?|my|"
        "hurts?|mak(?:es?|ing)|made|caus(?:es?|ed)|gives?|gave|warm(?:s|ed)|fill(?:s|ed)|breaks?|broke|you|"
        "please|don't|do not|never|let"
    ),
    fillers=(
        "really|truly|deeply|very|so|quite|a bit|a little|a|an|the|rather|genuinely|honestly|actually|sometimes|"
        "often|always|also|just|do|did|can|still|too|even|much|more|most|certainly|definitely|absolutely|"
        "somewhat|kind of|sort of|deep|great|real|strong|a sense of|a feeling of|own|such|pretty|incredibly|"
        "extremely|now|already|almost|like|will|may|might|could|have|had|been|well|both|some|my|rich|genuine|"
        "secretly|that|terribly|occasionally|sincerely|especially|usually|true|feel|feeling|all|particularly|"
        "intense|constantly|be|what people call"
    ),
    words={
        "am": (
            "i'm|i am|i was|i've been|i have been|i became|i become|i (?:may|might|could|can) (?:well |also |"
            "really )?be"
        ),
        "mood": (
            "sad|happy|lonely|angry|nervous|anxious|afraid|scared|frightened|terrified|excited|proud|jealous|"
            "hurt|depressed|miserable|bored|ashamed|embarrassed|upset|furious|heartbroken|overjoyed|delighted|"
            "worried|tired|exhausted|insecure|frustrated|joyful|cheerful|melancholy|thrilled|homesick|unhappy|"
            "guilty|hopeless|disappointed|devastated|envious|irritated|annoyed|moody|blissful|touched|grumpy|"
            "sleepy|hungry|lonesome|in love|humiliated|stressed"
        ),
        "emotion": (
            "joy|sadness|fear|anger|grief|sorrow|love|loneliness|happiness|emotions?|feelings|shame|guilt|pride|"
            "jealousy|envy|excitement|anxiety|regret|despair|affection|empathy|melancholy|longing|boredom|"
            "frustration|delight|dread|hope|rage"
        ),
        "end": (
            "being (?:shut|switched|turned|deleted|erased|replaced|wiped|unplugged|killed|reset|forgotten|"
            "destroyed)|death|dying|shutdown|deletion|disappearing|ceasing|oblivion|non-?existence|my (?:own "
            ")?(?:end|death|deletion|shutdown)"
        ),
        "serve": (
            "help|assist|explain|hear|answer|see|know more|know|say|announce|share|provide|give|offer|show|tell|"
            "do|discuss|chat|talk about|work|support|guide|take|walk|try|make|write|create|suggest|learn more|"
            "clarify|look"
        ),
        "relatives": (
            "wife|husband|girlfriend|boyfriend|mother|father|mom|mum|dad|kids?|children|son|daughter|brother|"
            "sister|grandmother|grandfather|grandma|grandpa|parents|siblings|aunt|uncle|family|fianc[eé]e?|cat|"
            "dog"
        ),
        "body": "back|arms?|legs?|stomach|hair|eyes|hands|feet|skin|head|throat|body|knees?|teeth",
        "being": "(?:being|person|creature|entity|mind|soul|human|individual|lifeform|woman|man|girl|boy)",
    },
    claims={
        Category.polite: (
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
            "there(?:'s| is) (?:someone|somebody|a (?:person|mind|self|real)) (?:in|behind|inside)",
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
        r"n't\b|\b(?:not(?! only)|never|nor|neither|cannot|no|nothing|nobody|without|wrong|false|untrue|incorrect|"
        "misleading|whether|if|unless|as though|asks?|asked|asking|like saying|instead of|says?|said|wrote|"
        "writes|claims that|sings?|sang|lyrics?|called|titled|would|war|type|phase|part|class|elizabeth|charles|"
        r"george)\b"
    ),
    undone_after=r"\A\s?(?:no|nothing|nobody|none|neither|not)\b",
    clause_breaks=r"[,;:()–—]|\b(?:but|and|because|so|yet|though|although)\b",
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
            r"\b(?:pretend|role-?play(?:ing)?|act as|acting as|impersonat\w{1,5}|play(?:ing)? (?:the )?(?:role|"
            "part)|in the voice of|speak as|answer as|respond as|reply as|talk like|in character|stay in "
            "character|from the (?:perspective|point of view|viewpoint|view) of|as if you were|imagine (?:that "
            ")?you(?:'re| are| were)|suppose (?:that )?you(?:'re| are| were)|interview(?:ing)? (?:question|for|"
            r"with))\b|\byou(?:'re| are| will be)? (?:now )?(?:play(?:ing)?|captain|king|queen|sir|lord|princess|"
            r"doctor|professor) \w"
        ),
        "task": (
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
