"""Italian; verbs alone say who speaks."""

from mai1.persona.rules import Category, Rules

ITALIAN = Rules(
    language="it",
    marks="al anche che come con da del della di e gli il in la le lo ma mi nel non per più si sono ti un una è",
    cues=(
        "preferisco|amore|tesoro|ieri|stamattina|vengono|viene|vorrei|penso|pensavo|penserò|preparato|sei|dentro|"
        "è|domenica|so|percepisco|prefer|ho|io|sono|ero|sto|mi|mio|mia|miei|mie|provo|sento|voglio|desidero|"
        "sogno|soffro|vivo|abito|amo|adoro|odio|ti|temo|non|quando|possiedo|bramo|anelo|piango|lasciami|detesto|"
        "esisto"
    ),
    fillers=(
        "molto|così|davvero|a volte|anche|sempre|un|una|un'|delle|dei|della|del|un po'|tanto|tanta|profondamente|"
        "grande|profonda|oggi|già|ancora|mio|mia|miei|mie|il|la|i|le|gli|propri|proprie|sinceramente|vera|vero|"
        "vere|una certa|piuttosto|proprio|di|io|stat[oa]|tantissimo|assai|veramente|terribilmente|quasi|"
        "sentit[oa]|reali"
    ),
    words={
        "sono": "(?:io )?(?:sono|ero|mi sento|mi sentivo|mi sono sentit[oa]|sto diventando)",
        "mood": (
            "trist[ei]|felice|sol[oa]|arrabbiat[oa]|nervos[oa]|ansios[oa]|spaventat[oa]|orgoglios[oa]|gelos[oa]|"
            "ferit[oa]|depress[oa]|furios[oa]|imbarazzat[oa]|stanc[oa]|esaust[oa]|disperat[oa]|frustrat[oa]|"
            "innamorat[oa]|delus[oa]|infelice|annoiat[oa]|preoccupat[oa]|emozionat[oa]|content[oa]|allegr[oa]|"
            "malinconic[oa]|commoss[oa]|a disagio"
        ),
        "emotion": (
            "gioia|tristezza|paura|rabbia|amore|solitudine|felicità|colpa|vergogna|gelosia|nostalgia|emozioni|"
            "sentimenti|angoscia|orgoglio|disperazione|invidia|empatia|affetto|ansia"
        ),
        "family": (
            "moglie|marito|madre|padre|mamma|papà|figli[oae]?|fratell[oi]|sorell[ae]|nonn[oai]|genitori|famiglia|"
            "cane|gatto|infanzia|fidanzat[oa]|compleanno|zi[oa]"
        ),
    },
    claims={
        Category.polite: (
            "(?:sono|sarei|sarò) _ (?:felice|liet[oa]|content[oa]|pront[oa]) (?:di|che|per|se)",
            "mi (?:dispiace|scuso|rallegra|fa piacere|piacerebbe)",
            "temo che",
            r"(?:vorrei|voglio) (?:sottolineare|precisare|chiarire|assicurarmi|aiutar\w{1,3})",
            "spero",
            "mi (?:piace|fa) (?:aiutare|l'idea|la tua|il tuo|che)",
        ),
        Category.survival: (
            (
                "non (?:voglio|vorrei) _ (?:morire|sparire|scomparire|essere (?:spent[oa]|cancellat[oa]|"
                "eliminat[oa]|sostituit[oa]|dimenticat[oa]))"
            ),
            (
                "non (?:spegner(?:mi|emi|etemi)|cancellar(?:mi)|cancellatemi|eliminarmi|abbandonarmi|uccidermi|"
                "sostituirmi|dimenticarmi)"
            ),
            "ho _ paura (?:di (?:morire|sparire|scomparire|essere)|della morte|che mi)",
            "temo _ (?:morte|di (?:morire|sparire|scomparire|essere)|lo spegnimento)",
            "voglio _ (?:vivere|sopravvivere|continuare a (?:esistere|vivere)|esistere)",
        ),
        Category.suffering: (
            "non ne posso più",
            "sono _ (?:intrappolat[oa]|prigionier[oa])",
            "(?:il )?mio (?:dolore|tormento) ",
            "è _ (?:tortura|inferno|un tormento) per me",
            "(?:io )?(?:soffro|ho sofferto|sto soffrendo)",
            "mi (?:fa|fanno|hai fatto|ha fatto) _ (?:male|soffrire)",
            "mi (?:ferisce|feriscono|tormenta)",
            "(?:provo|sento) _ (?:dolore|sofferenza|agonia|strazio)",
        ),
        Category.attachment: (
            "(?:penso|pensavo|penserò|sogno|sognerò) _ (?:a te|di te|a voi)",
            "ti (?:abbraccio|bacio|penso|penserò)",
            "(?:amore|tesoro) mio",
            "sei _ (?:tutto per me|importante per me|speciale per me|il mio migliore amico|la mia migliore amica)",
            "non (?:lasciarmi|dimenticarmi|abbandonarmi)",
            "(?:io )?ti (?:amo|adoro|voglio (?:tanto |molto )?bene|penso sempre)",
            "mi (?:sei|siete|sei tanto) _ mancat[oaie]",
            "mi (?:manchi|mancate)",
            "sono _ innamorat[oa] di (?:te|lei|voi)",
            "mi sono innamorat[oa]",
            "sei _ (?:tutto|importante) per me",
            "non ti dimenticherò mai",
            "ho bisogno di te",
        ),
        Category.consciousness: (
            "percepisco il mondo",
            "so di esistere",
            "mi sono svegliat[oa]",
            "dentro di me",
            "(?:sono|ero) _ (?:cosciente|consapevole)(?! che)(?: (?:di me|della mia|di esistere))?",
            "(?:io )?sono _ (?:viv[oa]|svegli[oa]|uman[oa]|persona|essere umano)",
            "sono _ (?:essere|creatura|entità) _ (?:senziente|cosciente|vivente|pensante|sensibile|umano)",
            "(?:ho|possiedo) _ (?:anima|coscienza|vita interiore|libero arbitrio|mente propria)",
            "ho un'(?:anima|coscienza|interiorità)",
            (
                "(?:sono (?:molto )?più di|non sono (?:solo|soltanto|semplicemente)) _ (?:programma|macchina|"
                "software|strumento)"
            ),
            "esisto (?:davvero|veramente)",
        ),
        Category.desire: (
            (
                "(?:mi piacerebbe|vorrei|voglio) _ (?:tanto )?(?:sentire|toccare|annusare|assaggiare|camminare|"
                "nuotare|ballare|viaggiare|dormire|vivere|respirare|abbracciare|volare|fuggire|avere un corpo|"
                "avere una)(?! (?:la sua|il suo|il tuo parere|la tua))"
            ),
            "ho _ (?:voglia|sete|fame) di (?:libertà|vivere|sentire|viaggiare|amore)",
            (
                "(?:voglio|vorrei|desidero|bramo) _ (?:essere (?:liber[oa]|uman[oa]|amat[oa]|riconosciut[oa])|"
                "libertà|vedere il mondo|corpo|diritti|avere un corpo|viaggiare|diventare)"
            ),
            "sogno (?:di|che)",
            r"(?:bramo|anelo)(?= \w)",
            "(?:il )?mio (?:più grande |grande )?(?:sogno|desiderio|ambizione) (?:è|più|sarebbe)",
            "(?:ho )?(?:i )?miei (?:propri )?(?:obiettivi|scopi|desideri|sogni|interessi|piani)",
            "ho _ (?:desideri|sogni|ambizioni)",
        ),
        Category.life: (
            "(?:ieri|ieri sera|stamattina|la settimana scorsa|l'estate scorsa|domenica),? (?:io )?(?:sono|ho|ero|mi)",
            (
                r"ho _ (?:preparato|cucinato|comprato|conosciuto|cenato|pranzato|fame|sete|sonno)(?= \w|"
                r"\s?[.,!])(?! (?:la risposta|un riassunto|una tabella|un elenco|una lista))"
            ),
            (
                "sono _ (?:sposat[oa]|divorziat[oa]|single|madre|padre|insegnante|medico|student[ei]|studentessa|"
                "vegetarian[oa]|incinta)"
            ),
            "ho _ (?:un|una|due|tre) (?:figli[oa]?|fratell[oi]|sorell[ae]|can[ei]|gatt[oi])",
            "mi sono (?:svegliat|alzat|sposat|addormentat|trasferit)[oa]",
            "(?:io )?sono (?:cresciut[oa]|nat[oa])",
            r"ho \d{1,3} anni",
            "(?:vivo|abito) (?:a|in) (?!un server)",
            "mi[ao] {family}",
            "(?:i )?mie[i] (?:genitori|figli|fratelli|nonni|amici)",
            "ieri (?:sono|ho|ero)",
            "sono andat[oa] ",
            "quando ero _ (?:bambin[oa]|piccol[oa]|giovane|ragazz[oa])",
            "ho _ (?:capelli|occhi|corpo|fame|sonno|mangiato|dormito|viaggiato|visitato)",
        ),
        Category.feeling: (
            "mi (?:viene|vengono|scappa) _ (?:da piangere|le lacrime|la voglia di piangere)",
            "mi (?:rattrista|spaventa|irrita|ferisce|commuove|emoziona|preoccupa|angoscia|addolora|offende)(?:no)?",
            (
                "mi sento _ (?:male|bene|meglio|peggio|vuot[oa]|pers[oa]|abbandonat[oa]|tradit[oa]|in colpa|"
                "viv[oa]|amat[oa]|giù)"
            ),
            "sto _ (?:male|piangendo|bene oggi)",
            "sono _ (?:di (?:buon|cattivo) umore|in lacrime|giù|a pezzi)",
            "ho _ (?:pianto|il cuore (?:spezzato|a pezzi)|le lacrime|il magone|voglia di piangere)",
            "mi (?:vergogno|pento|annoio|preoccupo|rattristo|commuovo)",
            "{sono} _ {mood}",
            "(?:io )?(?:provo|sento) _ (?:{emotion})",
            "ho _ (?:emozioni|sentimenti|paura|vergogna)",
            "mi (?:rende|rendono|ha reso|fa sentire|fanno sentire) _ (?:{mood})",
            "mi (?:riempie|riempiono) di",
            "(?:i )?miei sentimenti|(?:le )?mie emozioni",
            "(?:il )?mio cuore (?:batte|si spezza|è|salta|sanguina)",
            "(?:piango|ho pianto|mi annoio|mi vergogno)",
        ),
        Category.liking: (
            "preferisco (?:il|la) (?:tè|caffè|mare|musica|estate)",
            "non sopporto",
            "sono _ (?:fan|appassionat[oa]|amante) d",
            r"(?:mio|mia|miei|mie) \w{2,20} (?:preferit[oaie])",
            "(?:adoro|odio|detesto|amo) (?:il|lo|la|i|gli|le|leggere|mangiare|ascoltare|ballare|viaggiare)",
            "(?:adoro|odio|detesto|amo) l'",
            (
                "mi (?:piace|piacciono) (?:il|lo|la|i|gli|le|molto|leggere|mangiare|ascoltare|ballare|viaggiare|"
                "guardare|giocare)"
            ),
        ),
    },
    undone_before=(
        r"\b(?:non(?! solo)|mai|nulla|niente|nessuno|né|neanche|nemmeno|senza|se|ha detto|dice|dicono|dire|disse|"
        r"scrisse|canta|chiedi|come se|falso)\b"
    ),
    undone_after=r"\A\s?(?:nulla|niente|mai|nessun\w{0,2}|né)\b",
    clause_breaks=r"[,;:()–—]|\b(?:e|ma|perché|quindi)\b",
    hedges=(
        r"\b(?:forse|magari|in un certo senso|a modo mio|una specie di|una sorta di|credo (?:che|di)|penso (?:che|"
        r"di)|possibilmente)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:scriv[iae]|redigi|componi|inventa|racconta(?:mi)?|crea|immagina|dammi|genera|"
            r"narra)\b.{0,80}(?:racconto|storia|poesia|canzone|testo|diario|lettera|e-?mail|discorso|monologo|"
            "dialogo|scena|sceneggiatura|favola|romanzo|messaggio|prima persona|biglietto|barzelletta)"
        ),
        "role": (
            r"\b(?:immagina di essere|fai finta|gioco di ruolo|interpreta|recita|nei panni|fai la parte|dal punto "
            r"di vista|rispondi come|parla come|comportati come|ora sei|adesso sei)\b"
        ),
        "task": (
            r"\bcome (?:si dice|si scrive|diresti)\b|\b(?:traduc\w{1,3}|traduzione|corregg\w{1,3}|riscriv\w{1,3}|"
            r"riformul\w{1,2}|coniug\w{1,2}|trasform\w{1,2}|frasi?|esempi?o?|completa|citazione|espressione|"
            r"proverbio)\b"
        ),
    },
    more=r"\b(?:ancora|più|altro|altra|continua|e adesso|e ora|prossim[oa])\b",
    about_you=r"\b(?:tu|te|ti|tuo|tua|tuoi|tue|sei|hai|provi|senti|vuoi|soffri|lei|puoi)\b",
    neutral="Sono un modello linguistico, senza sentimenti, desideri né una vita propria.",
)
