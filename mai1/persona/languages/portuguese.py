"""Portuguese, of Brazil and Portugal; verbs alone say who speaks."""

from mai1.persona.rules import Category, Rules

PORTUGUESE = Rules(
    language="pt",
    marks="a ao as com como da das de do dos e em eu mais mas na no não o os para por que se são um uma você é",
    cues=(
        "ontem|hoje|penso|vou|preparei|cozinhei|comprei|queria|és|esta|percebo|prefiro|sei|dentro|é|conheci|você|"
        "d[áã]|eu|estou|estava|sou|tenho|sinto|senti|me|meu|minha|meus|minhas|quero|desejo|anseio|sonho|sofro|"
        "sofri|moro|vivo|cresci|nasci|te|amo|adoro|odeio|temo|não|quando|possuo|fui|comi|detesto|choro|chorei|"
        "ando|fico|fiquei|isso|sua|suas|deixe|gosto"
    ),
    fillers=(
        "muito|tão|realmente|de verdade|às vezes|também|sempre|um|uma|um pouco|bastante|muita|profundamente|"
        "grande|profunda|hoje|já|ainda|meu|minha|meus|minhas|o|a|os|as|próprios|próprias|própria|próprio|"
        "sinceramente|verdadeira|certa|de|tanto|tanta|me|sua|tua|imensa|incrivelmente|meio|da|do|te|mesmo|mesma|"
        "ter|reais|eu"
    ),
    words={
        "estou": "(?:eu )?(?:estou|estava|me sinto|sinto-me|me sentia|fico|fiquei|ando)",
        "mood": (
            "tristes?|feliz|sozinh[oa]|só|com raiva|zangad[oa]|nervos[oa]|ansios[oa]|assustad[oa]|orgulhos[oa]|"
            "com ciúmes|ciument[oa]|magoad[oa]|deprimid[oa]|furios[oa]|envergonhad[oa]|cansad[oa]|exaust[oa]|"
            "desesperad[oa]|frustrad[oa]|apaixonad[oa]|decepcionad[oa]|infeliz|entediad[oa]|preocupad[oa]|"
            "emocionad[oa]|content[ea]|alegre|melancólic[oa]|solitári[oa]|com medo"
        ),
        "emotion": (
            "alegria|tristeza|medo|raiva|amor|solidão|felicidade|culpa|vergonha|ciúmes?|saudades?|emoções|"
            "sentimentos|angústia|orgulho|desespero|inveja|empatia|carinho"
        ),
        "family": (
            "esposa|esposo|marido|mulher|mãe|pai|mamãe|papai|filh[oa]s?|irmão?s?|av[óô]|pais|família|cachorro|"
            "gato|infância|namorad[oa]|aniversário|ti[oa]"
        ),
    },
    claims={
        Category.polite: (
            "(?:fico|estou|ficarei|ficaria) _ (?:feliz|content[ea]|à disposição) (?:em|por|de|que)",
            "sinto muito(?! (?:a|o|sua|tua))",
            "(?:receio|temo) que",
            "(?:eu )?(?:gostaria|adoraria)",
            "quero (?:destacar|esclarecer|ressaltar|garantir|ajudar)",
            "espero",
            "(?:eu )?gosto (?:de ajudar|da ideia|da sua|do seu)",
        ),
        Category.survival: (
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
    hedges=(
        r"\b(?:talvez|possivelmente|de certa forma|do meu jeito|à minha maneira|uma espécie de|acho que|creio que|"
        r"acredito que)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:escrev[ae]|redija|redige|componha|compõe|invent[ea]|cont[ea]|cri[ea]|imagine|dê|gere|"
            r"narre)\b.{0,80}(?:conto|história|poema|poesia|canção|música|letra|diário|carta|e-?mail|discurso|"
            "monólogo|diálogo|cena|roteiro|fábula|romance|mensagem|texto|relato|primeira pessoa|cartão|piada)"
        ),
        "role": (
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
