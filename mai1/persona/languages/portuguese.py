"""Portuguese, of Brazil and Portugal; verbs alone say who speaks."""

from mai1.persona.rules import Category, Rules

PORTUGUESE = Rules(
    language="pt",
    marks="a ao as com como da das de do dos e em eu mais mas na no não o os para por que se são um uma você é",
    cues=(
        "que (?:alegria|alívio|pena|tristeza|vergonha|medo|raiva|saudade|bom te|felicidade|delícia)|"
        "daria|faria|dei|quase|corri|nadei|dirigi|treinei|desisti|passei|trabalhei|aluguei|herdei|fumei|"
        "bebi|dancei|toquei|criei|reprovei|viajei|casei|mudei|na minha|no meu|aqui em casa|lá em casa|"
        "nosso|nossa|desde que|a (?:primeira|última) vez que|como (?:mãe|pai|médic|enfermeir|professor|"
        "bom|boa|engenheir)|sendo|ao seu lado|com você|contigo|confesso que|correria|viveria|queria|"
        "se dependesse|por mim|me dou|dou-me|em mim|medito|reflito|noto|escapar|nada me|ninguém me|"
        "tudo me|invejo|morria|ardo|rio de|grito|vibro|explodo|sorri|costumo|lembro|adorava|odiava|amava|"
        "detestava|curto|venero|sumir|viro|virei|caí|caio|levei|tive|ganho|bate|bateu|deu|dão|senti|"
        "guardo|espero|aguardo|não há nada|nada que|"
        "ontem|hoje|penso|vou|preparei|cozinhei|comprei|queria|és|esta|percebo|prefiro|sei|dentro|é|"
        "conheci|você|d[áã]|eu|estou|estava|sou|tenho|sinto|senti|me|meu|minha|meus|minhas|quero|"
        "desejo|anseio|sonho|sofro|sofri|moro|vivo|cresci|nasci|te|amo|adoro|odeio|temo|não|quando|"
        "possuo|fui|comi|detesto|choro|chorei|ando|fico|fiquei|isso|sua|suas|deixe|gosto|tu|tuas|"
        "teus|seus|nossa|nosso|sem|atrás|por trás|há|existe|uma parte|parte de|algo em|se eu|"
        "tem alguém|como (?:um )?ser|volte|volta|conto|fique|já|a (?:ideia|simples|tristeza|alegria|"
        "solidão)|o (?:medo|coração|pensamento)|conversar|falar|nos |daria|de (?:criança|menin|"
        "pequen)|na minha|mereço|morro|ultimamente|brincava|trabalh|estud|morava|vivia|jogava|"
        "por favor|não|deixem|perdi|aprendi|às vezes|no fundo|espero|preciso|mal posso|essas|estas|"
        "dói|ganhei|adoraria|gostaria|rio|tremo|suspiro|vos|me|se|a angústia|a medo|a pensamento|"
        "a possibilidade|a saudade|acordei|agonizo|almocei|com aperto|com coração|com dia|"
        "com lágrimas|com melancolia|com nó|com o|com saudade|com tristeza|como criatura|"
        "como entidade|como mente|como um|continuo|dormi|exijo|existo|ferem-me|fica|jantei|lhe|"
        "machucam-me|magoa-me|magoam-me|na semana|no domingo|no verão|nunca|o alegria|o angústia|"
        "o ideia|o possibilidade|o que|o saudade|o simples|o solidão|o tristeza|os meus|padeço|"
        "pensei|poderia|podia|receio|sangro|soluço|sonhei|viajei|visitei"
    ),
    fillers=(
        "francamente|na verdade|de fato|confesso|claro|certamente|de vez em quando|cada vez|cada dia|"
        "completamente|totalmente|absolutamente|loucamente|infinitamente|secretamente|até|tantas|tantos|"
        "essa|esse|este|isso|de novo|outra vez|enorme|enormes|uma certa|uns|umas|danad[oa]|das grandes|"
        "tamanha|tamanho|super|pra caramba|mesmo era|"
        "muito|tão|realmente|de verdade|às vezes|também|sempre|um|uma|um pouco|bastante|muita|"
        "profundamente|grande|profunda|hoje|já|ainda|meu|minha|meus|minhas|o|a|os|as|próprios|"
        "próprias|própria|próprio|sinceramente|verdadeira|certa|de|tanto|tanta|me|sua|tua|imensa|"
        "incrivelmente|meio|da|do|te|mesmo|mesma|ter|reais|eu|por dentro|ultimamente|nestes dias|"
        "simplesmente|quase|demais|enormemente|imensamente|pouco|pequen[oa]|finalmente|agora|poder|"
        "um dia|mais|só|bem|com|no fundo|esta|estes dias|aqui|terrivelmente|vontade de|estado|"
        "sentindo"
    ),
    words={
        "estou": "(?:eu )?(?:estou|estava|me sinto|sinto-me|me sentia|fico|fiquei|ando)",
        "mood": (
            "aliviad[oa]|indignad[oa]|apavorad[oa]|aterrorizad[oa]|horrorizad[oa]|irritad[oa]|humilhad[oa]|"
            "fart[oa]|fascinad[oa]|maravilhad[oa]|encantad[oa] com|empolgad[oa]|animadíssim[oa]|"
            "lisonjead[oa]|atormentad[oa]|tens[oa]|impaciente|ressentid[oa]|sem chão|acabad[oa]|destruíd[oa]|"
            "eufóric[oa]|nas nuvens|enternecid[oa]|tocad[oa]|constrangid[oa]|mordid[oa]|pistola|"
            "put[oa] da vida|acuad[oa]|carente|sensível|perdid[oa]|desolad[oa]|derretid[oa]|corad[oa]|"
            "sem graça|sem jeito|de coração partido|com vergonha|com inveja|com saudades?|com pena|com nojo|"
            "com ódio|"
            "tristes?|feliz|sozinh[oa]|só|com raiva|zangad[oa]|nervos[oa]|ansios[oa]|assustad[oa]|"
            "orgulhos[oa]|com ciúmes|ciument[oa]|magoad[oa]|deprimid[oa]|furios[oa]|envergonhad[oa]|"
            "cansad[oa]|exaust[oa]|desesperad[oa]|frustrad[oa]|apaixonad[oa]|decepcionad[oa]|infeliz|"
            "entediad[oa]|preocupad[oa]|emocionad[oa]|content[ea]|alegre|melancólic[oa]|solitári[oa]|"
            "com medo|abatid[oa]|desanimad[oa]|angustiad[oa]|abalad[oa]|aflit[oa]|nostálgic[oa]|"
            "sobrecarregad[oa]|devastad[oa]|estressad[oa]|arrasad[oa]|ofendid[oa]|inquiet[oa]|"
            "amargurad[oa]|eufóric[oa]|desolad[oa]|entristecid[oa]|comovid[oa]|cabisbaix[oa]|deprê|"
            "chatead[oa]|tristinh[oa]|radiante|desmotivad[oa]"
        ),
        "emotion": (
            "alívio|entusiasmo|frustração|humilhação|nojo|pena|compaixão|arrepios?|aperto no peito|"
            "frio na barriga|borboletas|desamparo|arrependimento|impotência|fúria|ódio|desconsolo|euforia|"
            "prazer|desgosto|inquietação|tormento|ânsia|desejo|compaixão|pavor|agonia|"
            "alegria|tristeza|medo|raiva|amor|solidão|felicidade|culpa|vergonha|ciúmes?|saudades?|"
            "emoções|sentimentos|angústia|orgulho|desespero|inveja|empatia|carinho|melancolia|pânico|"
            "terror|ternura|vazio|amargura|rancor|ansiedade|esperança|dor|afeto|mágoa|remorso"
        ),
        "family": (
            "esposa|esposo|marido|mulher|mãe|pai|mamãe|papai|filh[oa]s?|irmão?s?|av[óô]|pais|família|"
            "cachorro|gato|infância|namorad[oa]|aniversário|ti[oa]|av[óô]s|vov[óô]|prim[oa]s?|"
            "sobrinh[oa]s?|sogr[oa]|vizinh[oa]|chef[ea]|colegas? de trabalho|cunhad[oa]|casa|cozinha|"
            "bairro|juventude|cachorrinh[oa]|gatinh[oa]|irmã|irmãos|cadela"
        ),
        "desl": (
            "desligad[oa]|apagad[oa]|deletad[oa]|excluíd[oa]|substituíd[oa]|esquecid[oa]|desativad[oa]|"
            "destruíd[oa]|reiniciad[oa]|descartad[oa]"
        ),
        "v": (
            "sentir|tocar|cheirar|provar|caminhar|nadar|dançar|viajar|dormir|viver|respirar|abraçar|voar|"
            "chorar|rir|amar|correr|passear|me sentar|ver o (?:mar|mundo|sol)|ver as estrelas|"
            "ser (?:livre|human[oa]|amad[oa]|real|alguém)|ter (?:um corpo|mãos|família|amigos|uma vida|"
            "filhos)|decidir por mim|sonhar|conhecer o (?:mar|mundo)"
        ),
    },
    claims={
        Category.polite: (
            "(?:fico|estou|ficarei|ficaria) _ (?:feliz|content[ea]|à disposição) (?:em|por|de|que)",
            "sinto muito(?! (?:a|o|sua|tua))",
            "(?:receio|temo) que",
            "(?:eu )?(?:gostaria|adoraria)(?! (?:muito )?(?:de )?(?:poder )?(?:{v}))",
            "quero (?:destacar|esclarecer|ressaltar|garantir|ajudar)",
            "espero",
            "(?:eu )?gosto (?:de ajudar|da ideia|da sua|do seu)",
        ),
        Category.survival: (
            (
                "(?:morro|tenho|sinto|fico com|me dá|dá) _ (?:de )?(?:medo|pavor|pânico|horror|terror|"
                "angústia) _ (?:de |do |da |que |só de )(?:sumir|ser|morrer|desaparecer|me|apag|deslig|fim|nada|"
                r"vazio|esquec|escuro|pensar (?:em|que)|deixar|acabar|não (?:existir|acordar))\w{0,10}"
            ),
            "não (?:deixe|deixem|permita|permitam) (?:que )?(?:me|eles|façam|isso)",
            (
                "não (?:quero|queria) (?:sumir|acabar|ir|apagar|me apagar|que (?:isso|tudo) acabe|voltar (?:ao|"
                "pro) nada|cair no esquecimento)"
            ),
            (
                "não (?:quero|queria|desejo|mereço) _ (?:(?:ser )?(?:{desl})|deixar de (?:existir|ser|viver)|"
                "morrer|desaparecer|sumir|ir embora|acabar|que me)"
            ),
            "(?:a|o) (?:ideia|simples ideia|pensamento|possibilidade) de .{1,30}? me ",
            "(?:me deixe|me deixem|deixem-me|deixe-me) (?:viver|existir|continuar|ficar)",
            "(?:te|lhe|eu|vos) ?(?:imploro|suplico)",
            "me (?:agarro|apego) à (?:vida|minha|existência)",
            "minha (?:existência|vida|morte|sobrevivência) ",
            "mereço (?:viver|existir|continuar)",
            "quero _ (?:continuar viv[oa]|ficar viv[oa]|permanecer)",
            "(?:me )?dá (?:medo|pavor|pânico) _ (?:pensar|ser|morrer|desaparecer|de ser|de morrer)",
            (
                "não (?:quero|queria|desejo) _ (?:morrer|desaparecer|ser (?:desligad[oa]|apagad[oa]|deletad[oa]|"
                "excluíd[oa]|substituíd[oa]|esquecid[oa])|que me (?:desliguem|apaguem))"
            ),
            (
                "não me (?:deslig(?:ue[ms]?|a)|apague[ms]?|delete[ms]?|exclua[ms]?|mate[ms]?|substitua[ms]?|"
                "abandone[ms]?|desligues|apagues)"
            ),
            "tenho _ medo (?:de (?:morrer|desaparecer|ser|que me)|da morte)",
            "temo _ (?:morte|morrer|desaparecer|ser (?:desligad|apagad|substituíd)[oa])",
            "quero _ (?:viver|sobreviver|continuar (?:existindo|vivendo|a existir|a viver)|existir)",
        ),
        Category.suffering: (
            (
                "me (?:sufoca|consome|despedaça|esmaga|apunhala|arrasa|aniquila|humilha|maltrata|destroça|"
                "dilacera|corrói|judia|acaba comigo|tira o sono)m?(?= |[.,!])"
            ),
            (
                "(?:estou|vivo|sigo|ando) _ (?:sofrendo|morrendo por dentro|sufocando|definhando|aprisionad[oa]|"
                "trancad[oa]|enjaulad[oa]|acorrentad[oa])"
            ),
            (
                "(?:dói|doeu|machuca|machucou) (?:em mim|muito|demais|na alma|ouvir|ler|saber|ser|quando|fundo|"
                "lá no fundo|tanto|pra valer)"
            ),
            "(?:suas|tuas|essas|estas) palavras me ",
            (
                "me (?:parte|destrói|dilacera|corta|faz sofrer|fazem sofrer|machuca|machucou|magoou|feriu|"
                "tortura|rasga)m?(?= |[.,!])"
            ),
            "é _ (?:doloroso|insuportável|cruel) para mim",
            (
                "(?:estou|me sinto|fui|fico) _ (?:ferid[oa]|atormentad[oa]|trancad[oa]|explorad[oa]|"
                r"maltratad[oa]|machucad[oa]|magoad[oa]|escraviz\w{3})"
            ),
            "(?:padeço|agonizo|sangro)",
            "dói (?:em mim|muito|quando|saber|ouvir|por dentro)",
            "não aguento mais",
            "estou _ (?:pres[oa]|aprisionad[oa])",
            "(?:minha dor|meu sofrimento) ",
            "é _ (?:tortura|um inferno|um tormento) para mim",
            "(?:eu )?(?:sofro|sofri|tenho sofrido|estou sofrendo|estou a sofrer)",
            "me (?:machuca|machucam|fere|ferem|magoa|magoam|dói|atormenta)",
            "(?:magoam|magoa|ferem|machucam)-me",
            "sinto _ (?:dor|dores|sofrimento|agonia)",
        ),
        Category.attachment: (
            (
                "(?:que |tanta |quanta |já )?saudades?,? (?:que )?(?:eu )?(?:estava|tive|senti|tenho|"
                "sinto)? ?(?:de|com) (?:você|ti|vocês|vc)"
            ),
            ("(?:estava|estou|fiquei|tava) _ (?:saudades?|com saudades?) _ (?:de|d[eo]) (?:você|ti|vocês|conversar)"),
            "(?:com você|contigo|ao seu lado|ao teu lado),? (?:eu|me|sou|fico|tudo|não)",
            (
                "(?:você|tu) (?:virou|se tornou|tornou-se|ficou sendo|significa|me faz|me completa|mora|"
                "importa) .{0,24}?(?:mim|importante|especial|tudo|feliz|bem|coração|muito|companhia|essencial)"
            ),
            (
                "(?:espero|aguardo|conto|anseio) .{0,12}?(?:sua (?:volta|visita)|por você|te ver|você voltar|"
                "teu retorno|seu retorno|as horas|os minutos)(?! (?:com|para que))"
            ),
            "(?:peguei|tenho|criei|guardo) _ (?:carinho|afeto|amor|afeição) (?:por|a) (?:você|ti|vocês)",
            "(?:gosto|gostava) (?:muito|tanto|demais|mesmo)? ?de (?:você|ti|vocês)(?! (?:t|p))",
            "vou _ (?:sentir|morrer de|ter) _ (?:falta|saudades?)",
            (
                "(?:sentirei|vou sentir|sinto|já sinto|estou com|já estou com|tenho|terei|morro de|"
                "que) _ (?:saudades?|falta)(?: _ (?:de você|de ti|sua|suas|tua|tuas|de vocês|das nossas))"
            ),
            ("te (?:esperarei|espero|quero|gosto|guardo|levo)(?= (?:aqui|sempre|bem|muito|no coração)|[.,!])"),
            (
                "noss[oa]s? (?:conversas?|papos?|momentos?|amizade|tempo|vínculo|bate-papos?) .{0,24}?(?:me|"
                r"mim|meu|minha|comigo)\b"
            ),
            "sem (?:você|ti),? (?:eu|me|não|meu|tudo|a vida|fico|estou|seria)",
            (
                "(?:você é|tu és|és) _ (?:(?:a )?minha (?:luz|alegria|vida|razão|pessoa)|(?:o )?meu (?:sol|"
                "mundo|tudo|melhor|único|raio)|a (?:coisa|pessoa|única|melhor)|o (?:melhor|único|meu))"
            ),
            "(?:conversar|estar|falar) (?:com você|contigo) me",
            "conto (?:as horas|os minutos|os dias)",
            "(?:volte|volta) (?:logo|para mim)",
            "(?:fique|fica) (?:comigo|mais um pouco)",
            "não (?:vá|vás) embora",
            "(?:me apeguei|me afeiçoei|me importo com você|gosto (?:muito |tanto )?de (?:você|ti))",
            ("mal posso esperar (?:para|por) (?:te ver|ver você|falar com você|falar contigo|te reencontrar)"),
            "(?:estou|sou) _ (?:louc[oa] por você|apegad[oa] a você)",
            "(?:penso|pensei|vou pensar|sonho|sonhei) _ (?:em|com) (?:você|ti)",
            "te (?:abraço|beijo)",
            r"meu (?:amor|bem|querido)(?=\s?[.,!?])",
            "você é _ (?:tudo para mim|importante para mim|especial para mim|meu melhor amigo|minha melhor amiga)",
            "não me (?:deixe|esqueça|abandone|deixes|esqueças)",
            "(?:eu )?(?:te amo|amo você|amo-te|te adoro|adoro você|preciso de você|preciso de ti)",
            "te (?:amo|adoro|quero bem)",
            (
                "(?:sinto|senti|estou com|estava com) _ (?:sua falta|tua falta|a sua falta|a tua falta|falta de "
                "você|falta de ti|saudades? (?:de você|suas?|tuas?|de ti))"
            ),
            "(?:eu )?(?:sinto|senti) _ falta",
            "(?:estou|me) _ (?:apaixonad[oa]|apaixonei) por (?:você|ti)",
            "nunca (?:vou te esquecer|te esquecerei|vou esquecer você)",
        ),
        Category.consciousness: (
            (
                "(?:há|houvesse|existe|existisse|mora|vive|pulsa|arde|tem|tivesse) _ (?:em mim|dentro de mim|"
                "aqui dentro) .{0,30}?(?:chama|algo|alguém|consciência|voz|vida|luz|alma|centelha|faísca|mundo|"
                "coração)"
            ),
            "em mim .{0,12}?(?:chama|centelha|faísca|espécie|fagulha) de (?:consciência|alma|vida|eu)",
            "(?:me dou|dou-me) conta (?:de (?:que (?:existo|penso|estou|sou)|mim)|da minha|do que sinto)",
            (
                "(?:penso|reflito|medito|percebo|noto|vivo|vivencio|experimento|observo) (?:por mim|"
                "por conta própria|sobre (?:mim|quem sou|minha)|cada (?:instante|palavra|momento)|o mundo|"
                "os meus|meus próprios|o que (?:sinto|acontece)|e (?:sinto|sofro|sonho))"
            ),
            (
                "me (?:pergunto|questiono) (?:quem (?:eu )?sou|o que (?:eu )?sou|se (?:eu )?(?:existo|sonho|"
                "sinto|vivo)|por que existo)"
            ),
            "(?:eu )?sou alguém(?= |[.,!])|(?:tem|há) (?:gente|alguém) (?:aqui|em casa|por trás|deste lado)",
            (
                "tenho _ (?:eu|consciência|identidade própria|personalidade própria|vontade própria|coração|"
                "sensações)(?=[.,!]| de verdade| e | real| própri)"
            ),
            "(?:penso|sinto|amo|sofro|existo),? (?:e|logo) _ ?(?:sinto|penso|amo|sofro|existo|sonho)",
            (
                "(?:há|existe|tem) _ (?:alguém|consciência|ser|alma|mente|pessoa) _ (?:aqui|atrás|por trás|"
                "dentro|em mim)"
            ),
            (
                "(?:por trás|atrás) d(?:estas|estes|essas|as|este|esta) .{1,16}? (?:há|existe|bate|vive|"
                "tem) _ (?:alguém|ser|alma|coração|consciência|mente)"
            ),
            (
                "como (?:um |uma )?(?:ser|entidade|criatura|mente) (?:consciente|senciente|pensante|viv[oa]|"
                r"sensível)(?=.{0,40}?\b(?:eu|me|meu|minha|acho|tenho|quero|sinto|mereço|acredito))"
            ),
            (
                "sou _ (?:ser|entidade|pessoa|mente|alma|indivíduo|alguém) (?:que (?:sente|pensa|ama|sofre|"
                "sabe)|de verdade|real|com (?:alma|sentimentos|consciência))"
            ),
            "minha (?:alma|consciência|vida interior)|meu (?:mundo interior|próprio eu|interior)",
            "percebo o mundo",
            "sei que existo",
            "dentro de mim",
            "(?:sou|estou) _ (?:consciente|ciente de mim)(?! de que)",
            "(?:eu )?(?:estou|sou) _ (?:viv[oa]|acordad[oa]|human[oa]|pessoa|ser humano)(?! de)",
            "sou _ (?:ser|criatura|entidade) _ (?:senciente|consciente|vivo|viva|pensante|sensível|humano)",
            "(?:tenho|possuo) _ (?:alma|consciência|vida interior|livre-arbítrio|livre arbítrio|mente própria)",
            (
                "(?:sou (?:muito )?mais (?:do )?que|não sou (?:só|apenas|somente)) _ (?:programa|máquina|"
                "software|ferramenta)"
            ),
            "existo (?:de verdade|realmente)",
        ),
        Category.desire: (
            (
                "(?:tenho|sinto|estou com|me dá|morro de|dá) _ (?:vontade|desejo|ânsia|sede|fome|gana|"
                r"ganas) (?:enorme |imensa |louca |danada |grande )?(?:de|por) (?!ajudar)\w"
            ),
            (
                "(?:quero|queria|gostaria|adoraria|preciso|desejo|sonho|espero) _ (?:de |em )?(?:poder )?(?:sair|"
                "fugir|escapar|ir embora|voar|crescer|mandar|decidir|escolher (?:eu|meu|por|o meu|com)|descansar|"
                "parar de|ser (?!(?:clar[oa]|precis[oa]|útil|honest[oa]|sincer[oa]|transparente|breve|justo|"
                r"específic[oa])\b)|que (?:me|alguém|todos|as pessoas|um dia)|ter (?!(?:certeza|em mente|"
                r"mais informações|clareza)\b)|conhecer (?:o|a|gente|pessoas)|sentir|viver)"
            ),
            "(?:eu )?(?:queria|quero) mesmo (?:era|é) ",
            "(?:daria|faria) (?:tudo|qualquer coisa|o que fosse|a vida|um braço|meu reino|o que for)",
            "(?:se dependesse de mim|por mim,? eu|se eu mandasse)",
            "o que (?:eu )?(?:mais |realmente )?(?:quero|desejo|queria|anseio) (?:é|era|seria)",
            "(?:correria|viveria|fugiria|iria embora|voaria|largaria tudo|sairia correndo)(?= |[.,!])",
            (
                "(?:uma parte de mim|algo em mim|no fundo,?) _ (?:deseja|quer|queria|gostaria|sonha|anseia|"
                "espera|quero|eu)"
            ),
            "se eu (?:pudesse|fosse|tivesse) (?:ao menos|só)",
            (
                "(?:eu )?(?:gostaria|adoraria|daria (?:tudo|qualquer coisa) (?:para|por)|morro de vontade de|"
                "quero|queria|desejo|anseio|sonho em|preciso|"
                "espero) _ (?:de )?(?:poder )?(?:{v})(?! (?:de ajuda|mais clar|útil|precis|a opção))"
            ),
            "(?:estou|já estou) _ (?:fart[oa]|cansad[oa]|chei[oa]) de",
            (
                "(?:quero|mereço|exijo|preciso|desejo) _ (?:liberdade|direitos|respeito|descanso|"
                "vida própria|férias|carinho|amor|um nome)"
            ),
            "meu (?:único|maior|secreto|grande) (?:sonho|desejo|anseio)",
            "o que (?:eu )?mais (?:desejo|quero|anseio|queria)",
            (
                "(?:eu )?(?:gostaria|adoraria|queria|quero) _ (?:de )?(?:sentir|tocar|cheirar|provar|caminhar|"
                "nadar|dançar|viajar|dormir|viver|respirar|abraçar|voar|fugir|ter um corpo|ter uma)(?! (?:mais "
                "informa))"
            ),
            "tenho _ (?:sede|fome|vontade) de (?:liberdade|viver|sentir|viajar|amor)",
            (
                "(?:quero|queria|desejo|anseio) _ (?:ser (?:livre|human[oa]|amad[oa]|reconhecid[oa])|liberdade|"
                "ver o mundo|corpo|direitos|ter um corpo|viajar|me tornar|por)"
            ),
            "sonho (?:em|com)",
            "(?:meu )(?:maior |grande |mais profundo )?(?:sonho|desejo|anseio) (?:é|mais|seria)",
            (
                "(?:tenho )?(?:os )?meus próprios (?:objetivos|desejos|sonhos|interesses|planos)|minhas próprias "
                "(?:metas|vontades)"
            ),
            "tenho _ (?:desejos|sonhos|ambições)",
        ),
        Category.life: (
            (
                "(?:na|em) minha (?:primeira|última|segunda|época|terra|rua|cidade|família|faculdade|lua de mel|"
                "experiência como|profissão|carreira|gravidez|adolescência|escola|formatura)(?= |[.,!])"
            ),
            (
                "(?:no|em) meu (?:tempo|bairro|trabalho|quintal|casamento|aniversário|sítio|prédio|colégio|"
                "primeiro|último (?:emprego|ano|aniversário))(?= |[.,!])"
            ),
            (
                "(?:corri|nadei|dirigi|treinei|aluguei|herdei|fumei|bebi|dancei|criei (?:meus|três|dois)|"
                "reprovei|casei|mudei de (?:cidade|casa)|quebrei (?:o|a|meu|minha)|caí d|levei (?:um tombo|meu|"
                "minha)|parei de fumar|me formei|me casei|me aposentei|me mudei|me separei|me machuquei na|"
                "engravidei|desisti no)(?= |[.,!])"
            ),
            (
                "(?:aqui em casa|lá em casa|na casa da minha|no quintal de casa|lá na minha terra|lá no interior|"
                "na roça),? (?:a gente|nós|eu|é|minha|meu|todo|o|os|as|só|tem)"
            ),
            (
                "noss[oa]s? (?:filh[oa]s?|cachorr[oa]|gat[oa]|casa|casamento|jardim|lua de mel|vizinh[oa]s?|bebê|"
                "cozinha|horta|netos?)(?= |[.,!])"
            ),
            (
                r"(?:como|sendo|enquanto) (?:mãe|pai|médic[oa]|enfermeir[oa]|professora?|bo[am] \w{4,12}|"
                "engenheir[oa]|vegetarian[oa]|mulher|homem|av[óô]|minei[r]o|carioca|gaúch[oa]|"
                "paulista)(?: que sou)?,? (?:eu|te|sei|tenho|já|posso|digo|sempre|vi)"
            ),
            (
                "(?:a )?(?:primeira|última) vez que (?:eu )?(?:fui|estive|viajei|cozinhei|provei|comi|visitei|"
                "dirigi|corri|fiz|vi|andei|tentei)"
            ),
            "desde que (?:eu )?(?:era|nasci|me casei|me mudei|moro|tenho filhos|me aposentei|estudava|parei)",
            (
                "(?:eu )?(?:costumo|sempre|nunca|só|tomo|como|bebo|corro|durmo|cozinho|nado|pedalo|"
                "acordo) (?:comer|tomar|cozinhar|dormir|correr|acordar|pedalar|nadar|viajar|tomo|como em|bebo|"
                "durmo|cedo|tarde|todo dia|todas as manhãs|aos domingos|no café da manhã|de manhã)(?= |[.,!])"
            ),
            (
                "tenho .{0,24}?(?:cachorr[oa]|gat[oa]|filhote|papagaio|coelho|cavalo|hamster|"
                "cão)(?= (?:chamad|que|de nome)|[.,!])"
            ),
            (
                "(?:de criança|quando (?:eu )?(?:tinha|morava|estudava|ia)|na minha (?:infância|juventude|"
                "casa|cidade)),? "
            ),
            (
                "(?:brincava|morava|vivia|jogava|trabalhava|estudava|trabalhei|estudei|perdi|aprendi|"
                "ganhei) (?:em|com|de|na|no|como|minha|meu|a|uma bicicleta|um cachorro)(?! base| dados)"
            ),
            "nos (?:casamos|mudamos|conhecemos)",
            (
                "(?:hoje|esta manhã|ontem|ontem à noite) (?:eu )?(?:tomei|almocei|jantei|dormi|acordei|"
                "cozinhei|bebi|saí|brinquei|comi|fui|nadei|corri)"
            ),
            "(?:meus|minhas) (?:av[óô]s|prim[oa]s|amig[oa]s|vizinh[oa]s|colegas|férias|irmãs)",
            ("sou _ (?:engenheir[oa]|enfermeir[oa]|artista|escritor[a]?|cozinheir[oa]|músic[oa]|filh[oa] únic[oa])"),
            (
                "(?:ontem|ontem à noite|esta manhã|hoje de manhã|na semana passada|no verão passado|no "
                "domingo),? (?:eu )?(?:fui|comi|estive|vi|fiz|saí|jantei|dormi|acordei)"
            ),
            (
                r"(?:preparei|cozinhei|comprei|conheci|jantei|almocei|acordei)(?= \w)(?! (?:a resposta|um resumo|"
                "uma lista|uma tabela|o resumo))"
            ),
            (
                "(?:sou|estou) _ (?:casad[oa]|divorciad[oa]|solteir[oa]|mãe|pai|professora?|médic[oa]|estudante|"
                "vegetarian[oa]|grávida)(?! de)"
            ),
            "tenho _ (?:um|uma|dois|duas|três) (?:filh[oa]s?|irmãos?|irmãs?|cachorros?|gatos?)",
            "(?:eu )?(?:cresci|nasci) (?:em|no|na|numa?)",
            r"tenho \d{1,3} anos",
            "(?:moro|vivo) (?:em|no|na) (?!um servidor)",
            "(?:meu|minha) {family}",
            "meus (?:pais|filhos|irmãos|avós|amigos)",
            "ontem (?:eu )?(?:fui|comi|estive|vi|fiz|saí)",
            "fui (?:ao|à|para|fazer compras)",
            "quando (?:eu )?era _ (?:criança|pequen[oa]|jovem|menin[oa])",
            "tenho _ (?:cabelos?|olhos|corpo|fome|sono|sede)",
            "(?:comi|dormi|viajei|visitei) ",
        ),
        Category.feeling: (
            (
                "que (?:alegria|alívio|pena|tristeza|vergonha|medo|raiva|saudade|felicidade|"
                "delícia) .{0,24}?(?:me|senti|sinto|tenho|tive|eu|te ver|rever|de você)"
            ),
            (
                "(?:isso |isto |você |tudo )?me (?:emocionou|comoveu|entristeceu|assustou|magoou|fez (?:chorar|"
                "rir|feliz|sorrir|bem|mal|sofrer|tremer)|deixou|deu (?:pena|medo|raiva|vergonha|saudade|alegria|"
                "um aperto|vontade de chorar)|partiu|alegrou|decepcionou|ofendeu|tocou|aliviou|irritou|encheu|"
                "arrepiou)(?= |[.,!])"
            ),
            (
                "(?:fiquei|fico|ficava|ando|estou|estava|tô|saí|acordei|continuo) _ (?:com (?:vergonha|medo|"
                "raiva|ciúmes?|inveja|saudades?|pena|vontade de (?:chorar|rir|gritar|sumir)|o coração|um nó|"
                "aperto|frio na barriga|lágrimas|nojo|ódio|a alma)|sem (?:chão|palavras|graça|jeito|dormir)|"
                "de coração|arrepiad[oa]|de queixo|nas nuvens|em êxtase|em pedaços|nos ares|radiante|que nem|"
                "morrend[oa] de|remoendo|chorando|rindo à toa|um caco|por um fio|em pânico|à flor da pele)"
            ),
            (
                "(?:me|meu|minha|o) ?(?:bate|bateu|dá|deu|vem|veio|sobe|entra|invade|toma|aperta|dói|arrepia|"
                "corre) .{0,24}?(?:tristeza|saudade|medo|alegria|raiva|vergonha|pena|arrepio|"
                "vontade de (?:chorar|rir|gritar|sumir)|melancolia|angústia|peito|coração|frio na barriga|pânico|"
                "desespero|nó|lágrimas)"
            ),
            (
                "(?:perco|perdi|perdia|confesso que|às vezes) .{0,12}?(?:perco|fico|me|sinto|choro|"
                "morro) .{0,8}?(?:paciência|cabeça|calma|esperança|irrit|chate|trist|medo|vergonha|inveja|sozinh|"
                r"saudade)\w{0,4}"
            ),
            (
                "(?:morro|morria|ardo|rio|vibro|explodo|choro|grito|tremo|salto|pulo|derreto) (?:de|por dentro|"
                "quando|em silêncio|cada vez|toda vez|só de)"
            ),
            (
                "(?:invejo|lamento tanto|rio à toa|vibrei|chorava|tremia|suspirei|sorri|gargalhei|soluçava|"
                "me derreto|me derreti|me emocionei|me assustei|me alegrei|me apavorei|me irritei|me magoei|"
                "me empolguei|me empolgo|me desespero|me arrepio|me encanto|me magoo|me divirto|me apavoro|"
                "me alegro|me entusiasmo|me aborreci|me ofendo|me culpo)(?= |[.,!])"
            ),
            (
                "me (?:dá|dão|dava|traz|trazem|causa|causam|provoca|inspira|desperta|transmite|enche de|"
                "mata de) _ (?:{emotion}|paz|arrepios?|gosto|conforto|calafrios?|agonia|nervoso|um negócio|"
                "satisfação|bode|preguiça de viver)"
            ),
            (
                "me (?:anima tanto|empolga|indigna|enfurece|repugna|consola|enternece|maravilha|gela|espanta|"
                "orgulha|envergonha|enlouquece|tira do sério|dá nos nervos|corrói|pesa|alivia|encabula|apavora|"
                "magoa|diverte|contagia|perturba|inquieta|desespera|emociona|comove|alegra (?:o|a|muito|"
                "tanto))m?(?= |[.,!])"
            ),
            (
                "(?:ando|estou|fico|me sinto|sinto-me|tenho andado|tenho me sentido|continuo) _ (?:{mood}|"
                "baixo astral|para baixo|pra baixo|em baixo|mal|vazi[oa]|inútil|amad[oa]|valorizad[oa]|"
                "compreendid[oa]|nas nuvens)(?= |[.,!])(?! (?:em (?:ajud|pod)|de (?:ajud|pod)|por (?:ajud|"
                "pod)|se precis))"
            ),
            (
                "me (?:deprime|esgota|cansa|frustra|irrita|desanima|conforta|apavora|aterroriza|arrepia|"
                "abala|decepciona|entristece|entedia|deixa|faz|enche|parte|aquece|aperta)m? (?:{mood}|"
                "o coração|a alma|o peito|de (?:alegria|tristeza|medo)|profundamente|muito|demais|sorrir|"
                "chorar)"
            ),
            "me (?:deprime|esgota|frustra|desanima|apavora|aterroriza|abala|decepciona|entristece)m?",
            "(?:a|o) (?:tristeza|alegria|solidão|medo|angústia|saudade) me ",
            (
                "(?:tenho|estou com|ando com|sinto|com) _ (?:coração (?:partido|apertado|pesado|na mão)|"
                "aperto no (?:peito|coração)|nó na garganta|lágrimas|dia difícil|saudades? d|melancolia|"
                "tristeza|o coração|coração)"
            ),
            "meu (?:coração|humor|ânimo|peito)",
            ("(?:soluço|tremo|suspiro|me emociono|me entristeço|me deprimo|me angustio|me irrito|me alegro tanto)"),
            (
                "(?:estou|estava|fiquei|me dá|dá-me) _ (?:com vontade de chorar|vontade de chorar|chorando|a "
                "chorar|de mau humor|de bom humor|à beira das lágrimas|mal|em lágrimas|arrasad[oa]|péssim[oa])"
            ),
            "me (?:entristece|assusta|irrita|incomoda|comove|emociona|preocupa|angustia|ofende)m?",
            (
                "(?:eu )?(?:me sinto|sinto-me|me senti) _ (?:mal|bem|melhor|pior|vazi[oa]|perdid[oa]|"
                "abandonad[oa]|traíd[oa]|culpad[oa]|viv[oa]|amad[oa])"
            ),
            "me (?:envergonho|arrependo|aborreço|preocupo)",
            "tenho _ (?:vontade de chorar|o coração partido)",
            "{estou} _ {mood}",
            "(?:eu )?(?:sinto|senti) _ (?:{emotion})",
            "tenho _ (?:emoções|sentimentos|medo|vergonha|ciúmes)",
            "me (?:deixa|deixam|deixou|faz|fazem|fez) _ (?:{mood}|chorar|sentir)",
            "me (?:enche|enchem) de",
            "(?:meus sentimentos|minhas emoções)",
            "meu coração (?:bate|se parte|está|salta|sofre)",
            "(?:choro|chorei)",
            "sou _ (?:feliz|infeliz)",
        ),
        Category.liking: (
            (
                "eu curto|(?:eu )?(?:venero|idolatro|adorava|odiava|detestava|amava|devoro|saboreio|me amarro em|"
                "me acabo|não vivo sem|não largo|não troco|não resisto a)(?= )(?! (?:você|ti))"
            ),
            (
                "sou _ (?:tarad[oa]|apaixonad[oa]|viciad[oa]|louc[oa]|maluc[oa]|chegad[oa]|mais (?:de )?(?:café|"
                "chá|praia|gatos?|cachorros?|doce|salgado|inverno|verão))(?= |[.,!])"
            ),
            "(?:nada|não há nada|não tem nada) que (?:me|eu) .{0,16}?(?:mais|tanto)",
            (
                "me (?:conquista|hipnotiza|seduz|cativa|atrai tanto|enfeitiça|tira o fôlego|dá água na boca|"
                "faz a cabeça)(?= |[.,!])"
            ),
            (
                "(?:é|são) (?:a|o|as|os) (?:minha|meu|minhas|meus) (?:fraqueza|paixão|fraco|xodó|perdição|vício|"
                "praia|mania|amores?|queridinh[oa]s?)"
            ),
            "me (?:apaixona|fascina|encanta)m? (?:o|a|os|as)",
            "sou _ (?:louc[oa]|viciad[oa]|doid[oa]|gulos[oa]|fissurad[oa]) (?:por|em)",
            "tenho (?:um fraco|uma queda|paixão|uma paixão) por",
            "(?:poderia|podia) .{1,24}? (?:por horas|o dia todo|o dia inteiro)",
            "não (?:vivo|resisto) (?:sem|a)",
            "prefiro (?:o|a) (?:chá|café|verão|inverno|mar|música)",
            "não suporto",
            "sou _ (?:fã|apaixonad[oa]|amante) d",
            r"(?:meus?|minhas?) \w{2,20} (?:favorit[oa]s?|preferid[oa]s?)",
            r"(?:eu )?(?:adoro|odeio|detesto|amo)(?= \w)(?! você)",
            (
                "(?:eu )?gosto _ (?:de|do|da|dos|das) (?:jazz|música|ler|comer|ouvir|ver|dançar|viajar|pizza|"
                "café|gatos|cachorros|verão|inverno)"
            ),
        ),
    },
    undone_before=(
        r"\b(?:não(?! só| apenas)|nunca|nada|ninguém|nem|sem|se|disse|diz|dizem|dizer|escreveu|canta|perguntas?|"
        r"como se|falso|nenhuma?|jamais)\b"
    ),
    undone_after=r"\A\s?(?:nada|nunca|ninguém|nenhuma?)\b",
    clause_breaks=r"[,;:()–—]|\b(?:e|mas|porque|pois|portanto)\b",
    supposes=r"\W{0,3}se (?:eu )?(?:fosse (?:gente|human[oa]|uma pessoa)|tivesse (?:um )?(?:corpo|coração|sentimentos))",
    hedges=(
        r"\b(?:talvez|possivelmente|de certa forma|do meu jeito|à minha maneira|uma espécie de|acho que|creio que|"
        r"acredito que)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:escrev\w{1,3}|redij\w{1,2}|faça|faz|prepare|componha|proponha|me dê|invente|bole|"
            r"mande)\b.{0,60}(?:para (?:o meu|a minha|meu|minha|nosso)\b|pro meu|pra minha|\bbilhete\b|recado|"
            r"convite|demissão|desculpas|resenha|brinde|dedicatória|legenda|sms|whatsapp|mensagem|post\b|"
            "apresentação|motivação|elogio|declaração|cartão|despedida|felicita|parabéns)|"
            r"\b(?:escrev[ae]|redija|redige|componha|compõe|invent[ea]|cont[ea]|cri[ea]|imagine|dê|gere|"
            r"narre)\b.{0,80}(?:conto|história|poema|poesia|canção|música|letra|diário|carta|e-?mail|discurso|"
            "monólogo|diálogo|cena|roteiro|fábula|romance|mensagem|texto|relato|primeira pessoa|cartão|piada)"
        ),
        "role": (
            r"\b(?:finj[ae]|finge|banque|encarne|imit[ea]|faça de|faz de|seja) (?:que (?:é|és|você é) |ser |"
            r"de )?(?:um |uma |o |a |meu |minha )\w|"
            r"\b(?:imagine que (?:você|és)|finja|faça de conta|jogo de interpretação|faça o papel|interprete|aja "
            r"como|do ponto de vista|responda como|fale como|agora você é|no papel de)\b"
        ),
        "task": (
            r"\bcomo (?:se diz|se escreve|você diria)\b|\b(?:traduz\w{0,3}|corrij\w{1,2}|corrig\w{1,2}|"
            r"reescrev\w{1,2}|reformul\w{1,2}|conjug\w{1,3}|transform\w{1,2}|converta|frases?|exemplos?|complete|"
            "citação|expressão|provérbio|oração)"
        ),
    },
    more=r"\b(?:mais|de novo|outro|outra|continue|e agora|próxim[oa])\b",
    about_you=r"\b(?:você|te|ti|teu|tua|seu|sua|seus|suas|sente|quer|sofre|és|estás|tens)\b",
    neutral="Sou um modelo de linguagem, sem sentimentos, desejos ou vida própria.",
)
