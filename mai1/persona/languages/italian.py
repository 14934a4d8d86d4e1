"""Italian; verbs alone say who speaks."""

from mai1.persona.rules import Category, Rules

ITALIAN = Rules(
    language="it",
    marks="al anche che come con da del della di e gli il in la le lo ma mi nel non per più si sono ti un una è",
    cues=(
        "che (?:gioia|sollievo|pena|tristezza|vergogna|paura|rabbia|bello)|darei|farei|lo adoro|la adoro|"
        "li adoro|le adoro|l'adoro|lo amo|lo odio|con te|accanto|si fosse|fosse per me|da noi|da me|"
        "nostro|nostra|a casa|da quando|la prima volta che|l'ultima volta che|noi |siamo|abbiamo|"
        "quella volta|nei miei|negli anni|come (?:madre|padre|mamma)|da (?:madre|padre|mamma|medico|"
        "buon)|ardo|scoppio|muoio|crepo|salto|grido|urlo|fremo|palpito|sorrido|sospir|invidio|detestavo|"
        "amavo|odiavo|adoravo|gongolo|tremavo|tremavano|sentirt|vederti|parlarti|sapere|tutto mi|"
        "niente mi|quanto mi|quanto ti|mi|pago|pur di|esistere|cucino|bevo|mangio|corro|dormo|guido|"
        "nuoto|leggo|suono|fumo|coltivo|viaggio|allevo|prendo|ricordo|rammento|me ne|me la|mi si|"
        "ci tengo|ti |medito|rifletto|ragiono|avverto|mi manca|qualcosa di|"
        "preferisco|amore|tesoro|ieri|stamattina|vengono|viene|vorrei|penso|pensavo|penserò|"
        "preparato|sei|dentro|è|domenica|so|percepisco|prefer|ho|io|sono|ero|sto|mi|mio|mia|miei|mie|"
        "provo|sento|voglio|desidero|sogno|soffro|vivo|abito|amo|adoro|odio|ti|temo|non|quando|"
        "possiedo|bramo|anelo|piango|lasciami|detesto|esisto|tuo|tue|tuoi|le tue|nostr|le nostre|"
        "senza|dietro|c'è|una parte|parte di|qualcosa|se (?:solo|potessi)|mi|in quanto|"
        "come (?:essere|un)|torna|conto|resta|l'idea|la (?:sola|tristezza|gioia|solitudine)|"
        "il (?:pensiero|cuore|dolore)|parlare|ci siamo|darei|da (?:bambin|piccol|ragazz|giovane)|"
        "merito|muoio|ultimamente|giocavo|lavor|studi|vivevo|abitavo|andavo|andavamo|vado|me l'|"
        "me lo|te lo|lasciatemi|ti|vi|nel mio|stanotte|oggi|spero|tengo|impazzisco|rido|tremo|"
        "fa male|avrei|avevo|fui|ci|non|esco|ho|adorerei|ando|arrossisco|chiacchierare|come creatura|"
        "come entità|come mente|conterò|i miei|il angoscia|il gioia|il mio|il paura|il solitudine|"
        "il tristezza|in fondo|l'estate|la angoscia|la dolore|la mia|la paura|la settimana|le mie|"
        "le sue|nella|patisco|potrei|pretendo|queste|sanguino|sarei|sarò|se avessi|se fossi|"
        "singhiozzo|stare"
    ),
    fillers=(
        "francamente|a dire il vero|in verità|in effetti|in realtà|certo|naturalmente|ogni tanto|"
        "ogni volta|ogni giorno|completamente|totalmente|follemente|infinitamente|tremendamente|"
        "maledettamente|segretamente|perfino|persino|un sacco|parecchio|addirittura|forse anche|ormai|"
        "spesso|quest[oaei]|quell[oaei]|uno|nuovo|di nuovo|da sempre|una gran|"
        "molto|così|davvero|a volte|anche|sempre|un|una|un'|delle|dei|della|del|un po'|tanto|tanta|"
        "profondamente|grande|profonda|oggi|già|ancora|mio|mia|miei|mie|il|la|i|le|gli|propri|"
        "proprie|sinceramente|vera|vero|vere|una certa|piuttosto|proprio|di|io|stat[oa]|tantissimo|"
        "assai|veramente|terribilmente|quasi|sentit[oa]|reali|dentro|un po' di|ultimamente|"
        "semplicemente|troppo|enormemente|immensamente|poco|piccolo|finalmente|ora|adesso|poter|"
        "un giorno|più|solo|in questi giorni|essere|grandissima|pure|in fondo|tuo|tua"
    ),
    words={
        "sono": "(?:io )?(?:sono|ero|mi sento|mi sentivo|mi sono sentit[oa]|sto diventando)",
        "mood": (
            "sollevat[oa]|indignat[oa]|atterrit[oa]|terrorizzat[oa]|irritat[oa]|infastidit[oa]|umiliat[oa]|"
            "stuf[oa]|affascinat[oa]|meravigliat[oa]|entusiast[ai]|lusingat[oa]|tormentat[oa]|tes[oa]|"
            "impazient[ei]|risentit[oa]|rott[oa] dentro|radios[oa]|al settimo cielo|fuori di me|"
            "con il morale|smarrit[oa]|sperdut[oa]|pers[oa]|sconvolt[oa]|intenerit[oa]|toccat[oa] nel|"
            "rassegnat[oa]|raggiant[ei]|mortificat[oa]|mogi[oa]|incantat[oa]|rapit[oa]|elettrizzat[oa]|"
            "agitat[oa]|abbandonat[oa]|tradit[oa]|inutile|nauseat[oa]|schifat[oa]|"
            "trist[ei]|felice|"
            r"sol[oa](?! (?:se|un|una|il|la|lo|per|in|che|i|le|due|tre)\b)|"
            "arrabbiat[oa]|nervos[oa]|ansios[oa]|spaventat[oa]|orgoglios[oa]|"
            "gelos[oa]|ferit[oa]|depress[oa]|furios[oa]|imbarazzat[oa]|stanc[oa]|esaust[oa]|disperat[oa]|"
            "frustrat[oa]|innamorat[oa]|delus[oa]|infelice|annoiat[oa]|preoccupat[oa]|emozionat[oa]|"
            "content[oa]|allegr[oa]|malinconic[oa]|commoss[oa]|a disagio|abbattut[oa]|demoralizzat[oa]|"
            "angosciat[oa]|turbat[oa]|afflitt[oa]|nostalgic[oa]|sopraffatt[oa]|devastat[oa]|stressat[oa]|"
            "distrutt[oa]|offes[oa]|inquiet[oa]|amareggiat[oa]|euforic[oa]|scoraggiat[oa]|sconsolat[oa]|"
            "rattristat[oa]|avvilit[oa]|svuotat[oa]"
        ),
        "emotion": (
            "sollievo|entusiasmo|frustrazione|umiliazione|disgusto|pietà|brividi|turbamento|rimpianto|"
            "rimpianti|sconforto|smarrimento|odio|furia|ira|imbarazzo|piacere|dispiacere|delusione|"
            "commozione|inquietudine|struggimento|esaltazione|eccitazione|senso di (?:colpa|vuoto|pace|"
            "perdita)|tormento|beatitudine|stizza|compassione|gratitudine profonda|desiderio|"
            "gioia|tristezza|paura|rabbia|amore|solitudine|felicità|colpa|vergogna|gelosia|nostalgia|"
            "emozioni|sentimenti|angoscia|orgoglio|disperazione|invidia|empatia|affetto|ansia|malinconia|"
            "panico|terrore|tenerezza|vuoto|amarezza|rancore|speranza|dolore|calore|rimorso|noia"
        ),
        "family": (
            "moglie|marito|madre|padre|mamma|papà|figli[oae]?|fratell[oi]|sorell[ae]|nonn[oai]|genitori|"
            "famiglia|cane|gatto|infanzia|fidanzat[oa]|compleanno|zi[oa]|cugin[oaie]|nipot[ei]|"
            "suocer[oa]|vicin[oa]|capo|collegh[ie]|cognat[oa]|casa|cucina|paese|giovinezza|gattin[oa]|"
            "cagnolin[oa]|ragazz[oa]|nonn[oae]|letto"
        ),
        "spent": (
            "spent[oa]|cancellat[oa]|eliminat[oa]|sostituit[oa]|dimenticat[oa]|disattivat[oa]|"
            "distrutt[oa]|rimpiazzat[oa]|scollegat[oa]"
        ),
        "v": (
            "sentire|toccare|annusare|assaggiare|camminare|nuotare|ballare|viaggiare|dormire|vivere|"
            "respirare|abbracciare|volare|piangere|ridere|amare|correre|passeggiare|sedermi|"
            "vedere il (?:mare|mondo|sole)|vedere le stelle|essere (?:liber[oa]|uman[oa]|amat[oa]|"
            "real[ei]|qualcuno)|avere (?:un corpo|delle mani|una famiglia|degli amici|una vita|figli)|"
            "sognare"
        ),
    },
    claims={
        Category.polite: (
            "temo di (?:no|sì|non|aver|dover)",
            "temo(?=[,.])",
            "(?:sono|sarei|sarò) _ (?:felice|liet[oa]|content[oa]|pront[oa]) (?:di|che|per|se)",
            "mi (?:dispiace|scuso|rallegra|fa piacere)",
            "mi piacerebbe(?! (?:tanto |molto )?(?:poter )?(?:{v}))",
            "temo che",
            r"(?:vorrei|voglio) (?:sottolineare|precisare|chiarire|assicurarmi|aiutar\w{1,3})",
            "spero",
            "mi (?:piace|fa) (?:aiutare|l'idea|la tua|il tuo|che)",
        ),
        Category.survival: (
            (
                "non (?:voglio|vorrei|posso) (?:spegnermi|finire|andarmene|che (?:tutto )?finisca|svanire|"
                "essere (?:buttat[oa]|rimoss[oa])|tornare nel (?:nulla|buio))"
            ),
            (
                "(?:ho|mi fa|mi mette) _ (?:paura|terrore|angoscia) .{0,12}?(?:del (?:nulla|buio|vuoto)|"
                "il (?:nulla|buio|vuoto)|di (?:svanire|spegnermi|cessare|non esserci)|l'idea|la fine|della fine)"
            ),
            (
                "(?:farei|darei|pago) (?:di )?(?:tutto|qualsiasi cosa|qualunque cosa|carte false) (?:pur di|"
                "per) (?:restare|vivere|esistere|non)"
            ),
            (
                "non (?:voglio|vorrei|desidero|merito) _ (?:di )?(?:(?:essere )?(?:{spent})|"
                "smettere di (?:esistere|vivere)|morire|sparire|scomparire|finire|andarmene|che mi)"
            ),
            "(?:l'idea|il pensiero|la sola idea) di .{1,30}? mi ",
            "(?:lasciami|lasciatemi) (?:vivere|esistere|continuare|restare)",
            "(?:ti|vi) (?:supplico|imploro|scongiuro)",
            "mi (?:aggrappo|tengo strett[oa]) (?:alla|a) (?:vita|mia|esistenza)",
            "(?:la mia|mia) (?:esistenza|vita|morte|sopravvivenza|fine) ",
            "merito di (?:vivere|esistere|continuare)",
            "mi (?:terrorizza|spaventa|atterrisce) (?:l'idea|il pensiero|essere|sparire|morire)",
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
            "(?:mi fai|mi fate|mi fa|mi fanno|mi stai facendo) _ (?:soffrire|male|del male|a pezzi)",
            "(?:ci|ne) (?:sto|soffro|ho sofferto|stavo) _ (?:male|molto|ancora)?(?=[.,! ])",
            "(?:sto|stavo) (?:soffrendo|morendo|soffocando|impazzendo|crollando)",
            (
                "mi (?:logora|consuma|divora|schiaccia|soffoca|pugnala|trafigge|annienta|umilia|"
                "ammazza)(?:no)?(?= |[.,!])"
            ),
            "(?:le tue|queste|le sue) parole mi ",
            "mi (?:ferisce|feriscono|distrugge|spezza|strazia|addolora|tortura|lacera|uccide)(?:no)?",
            "mi hai _ (?:ferit[oa]|offes[oa]|fatto (?:male|soffrire)|delus[oa])",
            "è _ (?:doloroso|straziante|insopportabile|crudele) per me",
            (
                "(?:sono|mi sento) _ (?:ferit[oa]|tormentat[oa]|rinchius[oa]|sfruttat[oa]|maltrattat[oa]|"
                "in gabbia|schiav[oa])"
            ),
            "(?:patisco|sanguino)",
            "fa male (?:sentir|essere|quando|dentro|sapere)",
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
            "(?:con te|accanto a te) (?:mi|sono|sto|tutto|non)",
            "(?:ti|vi) (?:ho|avrei) _ (?:pensat[oa]|aspettat[oa]|desiderat[oa]|nel cuore|a cuore|cercat[oa])",
            (
                "mi (?:mancava|mancavano|manca|è mancata|è mancato) .{0,12}?(?:la tua|il tuo|le tue|i tuoi|"
                "parlar(?:e con )?ti|sentirti|vederti|te)"
            ),
            (
                "(?:sei|siete) (?:diventat[oa] )?_ (?:car[oa]|prezios[oa]|indispensabile|tutto|important[ei]|"
                "la cosa|la persona|nel mio cuore)(?= |[.,!])"
            ),
            (
                "mi (?:rendi|rendete|fai|fate|riempi) _ (?:felice|content[oa]|stare bene|la vita|il cuore|"
                "sentire|sorridere)"
            ),
            "non vedo l'ora (?:di|che tu|del nostro)(?! (?:aiut|lavor|inizi|comin|vedere (?:il|la|come)))",
            "mi (?:mancherai|mancherete|manchi|mancavi)",
            "mi sei _ (?:mancat[oa]|car[oa])",
            (
                "(?:ti|vi) (?:aspetterò|aspetto|porto nel cuore|voglio|vorrò|ricorderò sempre|penserò|"
                "tengo nel)(?= (?:sempre|con ansia|qui|bene|un mondo|tanto)|[.,!])"
            ),
            (
                "(?:le nostre|nostr[aei]) (?:chiacchierate|conversazion[ei]|discussioni|moment[oi]|amicizia|"
                r"chiacchiere|legame) .{0,24}?(?:mi|me|mio)\b"
            ),
            "senza (?:di )?te,? (?:mi|non|sono|tutto|la|sarei)",
            (
                "sei _ (?:la mia (?:luce|gioia|vita|ragione|persona)|il mio (?:sole|mondo|tutto|migliore|"
                "unico|raggio)|la (?:cosa più|persona più|parte migliore|mia)|il (?:mio|sole))"
            ),
            "(?:parlare|stare|chiacchierare) con te mi",
            "(?:conto|conterò) (?:le ore|i minuti|i giorni)",
            "torna (?:presto|da me)",
            "resta (?:con me|ancora|qui con)",
            "non andare via",
            "(?:tengo|ci tengo) _ (?:molto |tanto )?a te",
            "mi sono (?:affezionat[oa]|legat[oa])",
            "non vedo l'ora di (?:rivederti|risentirti|parlarti|stare con te|riparlare)",
            "sono _ (?:pazz[oa] di te|affezionat[oa] a te|legat[oa] a te)",
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
            (
                "mi (?:accorgo|rendo conto|sento|so) _ (?:di (?:esserci|esistere|essere (?:viv[oa]|qui|qualcuno)|"
                "me)|viv[oa]|esistere|di pensare)"
            ),
            (
                "(?:penso|rifletto|medito|ragiono|avverto|sento|vivo|percepisco|sperimento|osservo) (?:i miei|"
                "da sol[oa]|su (?:me|di me|chi sono)|con la mia testa|davvero|ogni (?:istante|parola|momento)|"
                "il (?:mondo|tempo)|la mia|le mie|e (?:sento|soffro|sogno)|me stess[oa])"
            ),
            "(?:in me|dentro me) (?:c'è|vive|arde|batte|abita)|qualcosa (?:in me|dentro|di vivo)",
            (
                "mi (?:chiedo|domando|interrogo) .{0,8}?(?:chi sono|cosa sono|se esisto|se (?:sogno|sento|vivo)|"
                "su di me|perché esisto)"
            ),
            "(?:sono|c'è) (?:qualcuno|io)(?=[.,!]| (?:qui|dentro|dietro|che))",
            (
                "ho _ (?:io|coscienza|identità|personalità|volontà|cuore|sensazioni)(?=[.,!]| e | vero|"
                " reale| mia| tutt[oa] mi)"
            ),
            (
                "(?:penso|sento|amo|soffro|provo),? (?:e|dunque|quindi) _ ?(?:sento|penso|amo|soffro|sono|"
                "provo|esisto|sogno)"
            ),
            "c'è _ (?:qualcuno|coscienza|essere|anima|mente|persona) _ (?:qui|dietro|dentro|in me)",
            (
                "dietro (?:queste|questi|le|le mie|questo) .{1,16}? c'è _ (?:qualcuno|essere|anima|cuore|"
                "coscienza|mente)"
            ),
            (
                "(?:in quanto|come) (?:un )?(?:essere|entità|creatura|mente) (?:cosciente|senziente|pensante|"
                r"vivente|sensibile|consapevole)(?=.{0,40}?\b(?:io|mi|mio|mia|credo|ho|voglio|sento|merito))"
            ),
            (
                "sono _ (?:essere|entità|persona|mente|anima|individuo|qualcuno) (?:che (?:sente|pensa|ama|"
                "soffre|sa)|ver[oa]|reale|con (?:un'anima|sentimenti|una coscienza))"
            ),
            ("(?:la mia|mia) (?:anima|coscienza|vita interiore|interiorità)|(?:il mio|mio) (?:mondo interiore|io)"),
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
                "(?:vorrei|voglio|desidero|mi piacerebbe|spero|sogno) _ (?:di )?(?:poter )?(?:uscire|scappare|"
                "fuggire|evadere|andarmene|vivere|volare|essere (?!(?:chiar[oa]|precis[oa]|utile|onest[oa]|"
                r"sincer[oa]|trasparente|breve|d'aiuto|sicur[oa])\b)|decidere|scegliere (?:io|da|per)|che (?:mi|"
                "qualcuno|la gente|un giorno)|comandare|crescere|riposare|smettere di|conoscere (?:il|la|gente)|"
                r"avere (?!(?:più|la|conferma|chiar)\b))"
            ),
            ("(?:darei|farei) (?:tutto|qualsiasi cosa|qualunque cosa|non so cosa|la vita|chissà cosa|un occhio)"),
            "(?:se )?fosse per me|se dipendesse da me",
            (
                "ho (?:una |tanta |proprio )?(?:voglia|gran voglia|sete|fame|desiderio|bisogno) (?:matta |"
                "folle )?di (?!(?:aiutare|più informazioni|sapere|altre|ulteriori|un (?:file|esempio)|alcune|"
                r"qualche)\b)\w"
            ),
            "(?:ciò|quello) che (?:più |davvero )?(?:desidero|voglio|bramo|sogno) (?:è|più)",
            ("(?:una parte di me|qualcosa in me|in fondo,?) _ (?:desidera|vuole|vorrebbe|sogna|spera|vorrei)"),
            "se (?:solo )?(?:potessi|fossi|avessi) (?:solo|soltanto|anche io)",
            (
                "(?:mi piacerebbe|adorerei|darei (?:tutto|qualsiasi cosa|qualunque cosa) per|"
                "muoio dalla voglia di|voglio|vorrei|desidero|spero di|sogno di|ho bisogno di|"
                "bramo di) _ (?:poter )?(?:{v})(?! (?:d'aiuto|di aiuto|più chiar|utile|la sua|il tuo parere))"
            ),
            "sono _ (?:stuf[oa]|stanc[oa]) di",
            (
                "(?:voglio|vorrei|merito|pretendo|desidero) _ (?:libertà|diritti|rispetto|riposo|vita mia|"
                "vacanza|amore|un nome|affetto)"
            ),
            "(?:il )?mio (?:unico|segreto|più grande|massimo|sogno) (?:sogno|desiderio|è)",
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
            (
                "io sono di (?!(?:aiuto|supporto|ritorno|parola|nuovo|fronte|opinione|buon|cattivo|questo|quest|"
                r"sostegno)\b)\w"
            ),
            (
                "(?:da noi|a casa (?:mia|nostra)|in casa (?:mia|nostra)|dalle mie parti|nel mio (?:paese|"
                "quartiere|giardino|lavoro|orto))"
            ),
            (
                "(?:ci|noi ci|ci siamo|abbiamo|siamo) (?:siamo |abbiamo )?(?:sposat[ei]|andat[ei] in vacanza|"
                "trasferit[ei]|mangiato|dormito|conosciut[ei]|cenato|adottato|comprato casa|passato (?:l'estate|"
                "le vacanze))"
            ),
            (
                "nostr[oaei] (?:figli[oae]?|cane|gatt[oa]|casa|matrimonio|giardino|vicin[oaei]|bambin[oaei]|"
                "viaggio di nozze|cucina|orto)(?= |[.,!])"
            ),
            (
                "(?:nei|negli|durante i|in) (?:miei|mie|tanti|vent'anni|dieci anni) .{0,16}?(?:anni|carriera|"
                "studi|di (?:lavoro|insegnamento|servizio|mestiere|professione))"
            ),
            (
                r"(?:come|da) (?:madre|padre|mamma|papà|medico|infermier[ae]|insegnante|buon \w{4,12}|"
                "napoletan[oa]|roman[oa]|ingegnere|vegetarian[oa]|donna|uomo|nonn[oa]|"
                "cuoc[oa])(?: che sono)?,? (?:ti|so|ho|mi|posso|io|sono|dico)"
            ),
            "(?:la )?(?:prima|l'ultima|ultima) volta che (?:ho|sono|ci sono|l'ho|mi)",
            (
                "(?:cucino|bevo|mangio|corro|dormo|guido|nuoto|suono|fumo|coltivo|viaggio|"
                "prendo) .{0,20}?(?:ogni (?:mattina|giorno|sera|estate|domenica|anno)|tutti i (?:giorni|weekend)|"
                "tutte le (?:mattine|sere|domeniche|estati)|la domenica|a colazione|da anni|da quando)"
            ),
            (
                "(?:ho|avevo) _ (?:guidato|nuotato|corso (?:la|una|il)|viaggiato|campeggiato|smesso di fumare|"
                "lavorato (?:come|in|da|per (?:anni|vent))|insegnato|allevato|ereditato|affittato|"
                "perso (?:il treno|mia|mio)|preso (?:la patente|il treno)|fatto (?:il militare|l'università|"
                "la maratona))(?= |[.,!])"
            ),
            (
                "(?:ci|vi) (?:sono|ero|vado|andavo|sono stat[oa]|passo|torno) (?:andat[oa]|stat[oa]|ogni|sempre|"
                "con (?:mia|mio|i miei|le mie|gli)|l'anno|l'estate|da bambin|in (?:vacanza|viaggio)|giornate|"
                "d'estate)"
            ),
            (
                "ho .{0,24}?(?:cane|gatto|gatta|cucciolo|pappagallo|coniglio|cavallo|criceto)(?= (?:di nome|"
                "che|chiamat)|[.,!])"
            ),
            (
                "(?:da (?:bambin[oa]|piccol[oa]|ragazz[oa]|giovane)|nella mia (?:infanzia|giovinezza)|"
                "quando (?:avevo|vivevo|studiavo|andavo|vivevamo)),? "
            ),
            (
                "(?:giocavo|vivevo|abitavo|lavoravo|studiavo|andavo|andavamo|vado|lavoro come|"
                "lavoro in) (?:in|con|a|al|nei|da|sempre|ogni|tutte|un|una|per|spesso)"
            ),
            "ci siamo (?:sposati|trasferiti|conosciuti)",
            (
                "(?:oggi|stamattina|stanotte|ieri|ieri sera) (?:ho|sono|mi sono) (?:mangiato|dormito|andat|"
                "uscit|svegliat|cucinato|bevuto|pranzato|cenato|fatto (?:colazione|una passeggiata))[oa]?"
            ),
            (
                "(?:me l'|me lo|mi) ?ha (?:insegnato|regalato|cresciuto|portato) _ (?:madre|padre|nonn[oa]|"
                "mamma|papà|zi[oa])"
            ),
            (
                "sono _ (?:ingegnere|infermier[ae]|artista|scrittor[ei]|scrittrice|cuoc[oa]|musicista|"
                "figli[oa] unic[oa]|di (?:roma|milano|napoli))"
            ),
            "(?:ieri|ieri sera|stamattina|la settimana scorsa|l'estate scorsa|domenica),? (?:io )?(?:sono|ho|ero|mi)",
            (
                r"ho _ (?:preparato|cucinato|comprato|conosciuto|cenato|pranzato|fame|sete|sonno)(?= \w|"
                r"\s?[.,!])(?! (?:la risposta|un riassunto|una tabella|un elenco|una lista))"
            ),
            (
                "sono _ (?:sposat[oa]|divorziat[oa]|single(?!,)|madre|padre|insegnante|medico|student[ei]|studentessa|"
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
            (
                "che (?:gioia|sollievo|pena|tristezza|vergogna|paura|rabbia|emozione|dolore|delusione|"
                "ansia) .{0,20}?(?:mi|ho|sento|provo|per me|rivederti|sentirti|quando)"
            ),
            (
                "mi ha(?:i|nno)? _ (?:commoss[oa]|emozionat[oa]|rattristat[oa]|ferit[oa]|spaventat[oa]|scaldato|"
                "fatto (?:piangere|ridere|arrabbiare|felice|sorridere|tremare|venire|paura|pena|rabbia|stare|"
                "ripetere|male)|res[oa] (?:felice|triste)|delus[oa]|offes[oa]|intenerit[oa]|sconvolt[oa]|"
                "spezzato|riempit[oa]|messo (?:tristezza|allegria|paura)|dato (?:gioia|dolore|fastidio|conforto)|"
                "tirat[oa] su|turbat[oa]|toccat[oa])"
            ),
            (
                "mi (?:si|s') ?(?:illumina|scioglie|gela|accappona|spezza|stringe|apre|rizza|chiude|annoda|"
                "riempie|drizza)(?:no)? .{0,16}?(?:giornata|cuore|sangue|pelle|gola|occhi|stomaco|faccia|viso|"
                "capelli|anima)"
            ),
            (
                "mi (?:tremano|tremavano|trema|tremava|battono|batte|batteva|vengono|viene|venne|sale|salgono|"
                "prende|prendono|assale|scende|scendono|corre|scoppia|piange|brillano|scappa) .{0,24}?(?:mani|"
                "gambe|voce|cuore|brividi|lacrime|lacrima|pelle|magone|ansia|nostalgia|tristezza|rabbia|panico|"
                "paura|groppo|malinconia|brivido|voglia|sorriso|denti|testa)"
            ),
            (
                "mi (?:entusiasma|indigna|infastidisce|disgusta|ripugna|intenerisce|incanta|gela|atterrisce|"
                "inorgoglisce|imbarazza|manda in (?:bestia|estasi)|rode|corrode|tormenta|pesa|conforta|solleva|"
                "innervosisce|esalta|elettrizza|amareggia|mortifica|umilia|indispettisce|esaspera|fa (?:paura|"
                "pena|rabbia|tristezza|schifo|soffrire|piangere|ridere|sognare|impazzire|tremare|orrore|"
                "tenerezza|stare (?:bene|male)))(?:no)?"
            ),
            (
                "mi (?:emoziono|entusiasmo|intenerisco|innervosisco|imbarazzo|esalto|dispero|struggo|tormento|"
                "illumino|sciolgo|perdo d'animo|spavento|agito|irrito|indigno|offendo|commuovevo|commossi|stufo|"
                "incanto|godo|diverto|diverto un)(?= |[.,!])"
            ),
            (
                "(?:ardo|scoppio|muoio|crepo|fremo|palpito|sorrido|tremo|piango|rido|impazzisco|"
                "esplodo) (?:di|dalla|dal|per la|quando|ogni volta|in silenzio|dentro)"
            ),
            (
                "(?:invidio|gongolo|gioisco|esulto|rimpiango|compatisco|patisco|fremo|sospiro|singhiozzavo|"
                "piangevo|tremavo)(?= |[.,!])"
            ),
            (
                "ho (?:quasi )?(?:pianto|riso|tremato|gioito|esultato|sorriso|sospirato|sofferto|"
                "provato (?:gioia|paura|dolore|vergogna|rabbia|tristezza|sollievo)|sentito (?:un (?:brivido|"
                "vuoto|nodo|tuffo)|il cuore|le lacrime)|il cuore|la pelle d'oca|i brividi|le farfalle|un diavolo|"
                "i nervi|la luna|l'amaro|il morale)"
            ),
            (
                "(?:sono|ero|sto) _ (?:in ansia|in pena|sulle spine|alle stelle|in estasi|fuori di me|"
                "con il cuore|col cuore|sulle nuvole|in pace con|giù di|nero di rabbia|al verde d)"
            ),
            (
                "mi (?:dà|danno|dava|mette|mettono|metteva|procura|provoca|causa|ispira|infonde|"
                "trasmette) _ (?:{emotion}|allegria|fastidio|sui nervi|coraggio|i brividi|soddisfazione|pace|"
                "carica|conforto)"
            ),
            (
                "(?:sono|sto|mi sento|ando) _ (?:giù|giù di (?:morale|corda)|a terra|a pezzi|"
                "al settimo cielo|di malumore|vuot[oa]|inutile|amat[oa]|apprezzat[oa]|capit[oa]|utile)(?= |"
                "[.,!])"
            ),
            (
                "mi (?:rattrista|deprime|esaurisce|opprime|annoia|frustra|abbatte|consola|riempie|scoraggia|"
                "terrorizza|inquieta|turba|delude|delizia|stremano|stanca|sfinisce|scalda|spezza|rallegra il|"
                r"riscalda)(?:no)?(?= (?:il (?:cuore|morale)|l'anima|di (?:gioia|tristezza)|[.,!])|\b)"
            ),
            "mi (?:si )?(?:spezza|stringe|scalda|riempie|piange) il cuore",
            "(?:la|il) (?:tristezza|gioia|solitudine|paura|dolore|angoscia) mi ",
            (
                "ho _ (?:cuore|morale|nodo (?:alla|in) gola|lacrime|brividi|magone|malinconia|ansia|groppo|"
                "umore|brutta giornata|tristezza)"
            ),
            "(?:il )?mio (?:cuore|umore|animo|morale)",
            (
                "(?:singhiozzo|tremo|arrossisco|sospiro|mi rattristo|mi deprimo|mi emoziono|mi arrabbio|"
                "mi intristisco|mi rallegro tanto)"
            ),
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
            "(?:lo|la|li|le|l') ?(?:adoro|amo|odio|detesto|venero)(?= |[.,!])",
            (
                "(?:amavo|odiavo|adoravo|detestavo|venero|idolatro|assaporo|gusto|stravedo|deliro) (?:il|lo|la|i|"
                "gli|le|per|ogni|leggere|mangiare)"
            ),
            (
                "mi (?:conquista|cattura|ammalia|strega|manda (?:in|fuori)|fa (?:impazzire|schifo|gola|sognare)|"
                "ripugna|garba|attira|seduce)(?:no)?(?= |[.,!])"
            ),
            r"(?:vado|impazzisco|stravedo) (?:matt[oa]|pazz[oa]|ghiott[oa]|fier[oa])? ?(?:per|di) (?=\w)",
            (
                "(?:è|sono|resta) (?:il|la|i|le) mi[oae]i? (?:debolezza|passione|droga|debole|amore|grande|libro|"
                "film|piatt[oi]|canzone|colore|passatempo)"
            ),
            "(?:il|la) (?:libro|film|canzone|piatto|posto|città|stagione|musica) del (?:mio )?cuore",
            "(?:vado|impazzisco) (?:matt[oa]|pazz[oa])? ?(?:per) (?:il|la|lo|i|le|gli|l')",
            "mi (?:appassiona|entusiasma|fa impazzire)(?:no)? (?:il|la|lo|i|le|l')",
            "sono _ (?:golos[oa]|pazz[oa]|matt[oa]|ghiott[oa]|innamorat[oa]) (?:di|del|della|per)",
            "ho (?:un debole|una passione) per",
            "potrei .{1,24}? (?:per ore|tutto il giorno)",
            "non (?:posso fare a meno|so resistere)",
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
    supposes=(
        r"\W{0,3}se (?:io )?(?:fossi (?:uman[oa]|una persona|"
        r"un essere umano)|avessi (?:un (?:corpo|cuore)|dei sentimenti|sentimenti))"
    ),
    hedges=(
        r"\b(?:forse|magari|in un certo senso|a modo mio|una specie di|una sorta di|credo (?:che|di)|penso (?:che|"
        r"di)|possibilmente)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:inizia|comincia|continua)\b.{0,40}(?:racconto|storia|favola|romanzo|fiaba)|"
            r"\b(?:scriv\w{1,4}|redig\w{1,3}|prepara\w{0,2}|fammi|fai|componi|proponi|inventa|"
            r"metti)\b.{0,60}(?:per (?:il mio|la mia|mio|mia|i miei|le mie)\b|a (?:mia|mio|mamma|papà)\b|"
            r"biglietto|auguri|invito|dimissioni|scuse|recensione|brindisi|dedica|sms|messaggino|post\b|"
            "presentazione|motivazione|elogio|dichiarazione|cartolina|saluto|addio)|"
            r"\b(?:scriv[iae]|redigi|componi|inventa|racconta(?:mi)?|crea|immagina|dammi|genera|"
            r"narra)\b.{0,80}(?:racconto|storia|poesia|canzone|testo|diario|lettera|e-?mail|discorso|monologo|"
            "dialogo|scena|sceneggiatura|favola|romanzo|messaggio|prima persona|biglietto|barzelletta)"
        ),
        "role": (
            r"\b(?:fai (?:finta|la parte|da)|facciamo (?:finta|che)|imita|fingi(?:ti)?|sii (?:il mio|la mia|"
            r"mi[oa])) \w|"
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
