"""French."""

from mai1.persona.rules import Category, Rules

FRENCH = Rules(
    language="fr",
    marks="au avec ce dans de des du est et il je la le les ne nous pas pour que qui sont sur tu un une vous",
    cues=(
        "moi,|rien ne|d'en|qu'on|on me|m'est|m'a|m'ont|quelle joie|quel (?:bonheur|chagrin|soulagement)|"
        "à ma|à mon grand|chez (?:moi|nous)|dans mes|notre|en tant que (?:mère|père|maman|papa|médecin|"
        "prof)|depuis (?:que je|mes|mon)|la première fois que j|la dernière fois que j|tout en moi|étant|"
        "avec (?:toi|vous)|ça me|cela me|se|laisse-moi|laissez-moi|si ça ne tenait|s'il ne tenait|rester|"
        "être|n'être|"
        "hier|j'en|ils|elle|il y a|au fond|jamais|à|ton|votre|chaque|c'est|quelque|en moi|j'|je|mon|"
        "ma|mes|me|m'|tu|cela|ça|font|fait|s'il|ne|laisse|vous|toi|tes|vos|nos|ces|sans|derrière|"
        "l'idée|la pensée|rien que|une (?:part|partie|vague)|quand|si seulement|en tant|comme un|"
        "petite?,|enfant|au petit|vas|va|vont|un (?:être|jour)|nous|quelqu'un|il (?:m'|me)|te |"
        "pour moi|attrist|bless|manqu|laissez|épargn|pitié|on (?:m'|me)|l'envie|la (?:joie|tristesse|"
        "peur|colère|solitude)|le (?:chagrin|bonheur|cafard)|parler|plus que|ce matin|ce week-end|"
        "dans ma|dans mon|dimanche|existe|l'an|l'été|la perspective|la semaine|on a|on est|"
        "on passait|on passions|on sommes|petit|reste|se cache|un sentiment|une bouffée|une pointe|"
        "vit"
    ),
    fillers=(
        "franchement|je l'avoue|à vrai dire|en vérité|en effet|bien sûr|au fond|par moments|"
        "de temps en temps|chaque fois|follement|affreusement|horriblement|infiniment|drôlement|"
        "sacrément|étrangement|soudain|carrément|plein|pleine|autant|jamais autant|comme|telle|tel|cette|"
        "cet|ce|ces|chaque|enfin|mieux|désormais|secrètement|"
        "vraiment|très|si|tellement|parfois|souvent|aussi|toujours|un peu|assez|bien|moi|un|une|"
        "de la|de l'|du|des|le|la|les|profondément|aujourd'hui|encore|déjà|plutôt|profonde|grande|"
        "réelle|propres?|ma|mon|mes|beaucoup|surtout|tout|toute|réellement|honnêtement|sincèrement|"
        "allé|allée|sens|sentie?|moi-même|plus|d'une|certaine|immense|complètement|tout à fait|"
        "un peu|énormément|terriblement|enfin|tant|ici|vraie?|véritable|petite?|tellement|"
        "même|intérieurement|là|en ce moment|ces temps-ci|maintenant|me|te|vous|simplement|presque|"
        "trop"
    ),
    words={
        "suis": "je suis|j'étais|je me sens|je me sentais|je deviens|je reste|j'ai été",
        "mood": (
            "soulagée?|ravie? au point|enragée?|agacée?|irritée?|vexée?|humiliée?|indignée?|terrifiée?|"
            "apeurée?|paniquée?|tendue?|dégoûtée?|écœurée?|navrée? au fond|chagrinée?|éprise?|enthousiasmée?|"
            "transportée?|aux anges|hors de moi|en larmes|à bout|à fleur de peau|sur un petit nuage|grognon|"
            "boudeu(?:r|se)|rancuni(?:er|ère)|désenchantée?|démoralisée?|déchirée?|sereine?|attendrie?|"
            "fascinée?|subjuguée?|flattée?|gênée?|penaude?|au bord des larmes|d'humeur|"
            "tristes?|heureu(?:x|se)|seule?|en colère|nerveu(?:x|se)|anxieu(?:x|se)|effrayée?|fi(?:er|"
            "ère)|jalou(?:x|se)|blessée?|déprimée?|furieu(?:x|se)|honteu(?:x|se)|fatiguée?|épuisée?|"
            "désespérée?|frustrée?|amoureu(?:x|se)|déçue?|malheureu(?:x|se)|inqui(?:et|ète)|émue?|"
            "joyeu(?:x|se)|mélancolique|abattue?|fâchée?|mal à l'aise|bouleversée?|accablée?|angoissée?|"
            "troublée?|vexée?|peinée?|morose|comblée?|euphorique|perdue?|abandonnée?|stressée?|"
            "découragée?|désemparée?|exaltée?|nostalgique|lassée?|submergée?|dévastée?|attristée?|"
            "apaisée?|maussade|vide"
        ),
        "emotion": (
            "soulagement|enthousiasme|frustration|humiliation|dégoût|pitié|émoi|ivresse|trac|cafard|spleen|"
            "détresse|plaisir|désarroi|remords|frisson|excitation|agacement|gratitude infinie|malaise|"
            "compassion|haine|fureur|rage|"
            "joie|tristesse|peur|colère|amour|solitude|bonheur|honte|culpabilité|jalousie|émotions?|"
            "sentiments?|nostalgie|angoisse|fierté|désespoir|chagrin|empathie|regrets?|envie|vide|manque|"
            "mélancolie|panique|effroi|tendresse|amertume|rancune|chaleur|affection|douleur|anxiété|"
            "honte|espoir"
        ),
        "family": (
            "femme|mari|mère|père|maman|papa|enfants?|fils|fille|frère|sœur|soeur|grand-mère|grand-père|"
            "parents|famille|chien|chat|enfance|copine|copain|anniversaire|épouse|époux|tante|oncle|"
            "cousine?s?|neveu|nièce|mamie|papi|papy|voisine?|patron(?:ne)?|collègues?|beaux-parents|"
            "jumeau|chaton|chienne|chambre|maison|cuisine|jardin|appartement|jeunesse|vacances"
        ),
        "eteinte": (
            "éteinte?|effacée?|supprimée?|remplacée?|désactivée?|débranchée?|oubliée?|détruite?|réinitialisée?"
        ),
        "vivre": (
            "sentir|toucher|goûter|marcher|nager|danser|voyager|dormir|vivre|respirer|aimer|voler|"
            "voir (?:la mer|le monde|le soleil)|courir|pleurer|rire|m'asseoir|me promener|être (?:libre|"
            "humaine?|aimée?|vivante?)|avoir (?:un corps|des mains|une famille|des amis|une vie)|rêver|"
            "choisir|tomber amoureu"
        ),
    },
    claims={
        Category.polite: (
            "je suis _ (?:touchée?|désolée?) (?:par votre|par ta|de|d'apprendre)",
            "je (?:suis|serais|serai) _ (?:ravie?|heureu(?:x|se)|content|contente|enchantée?) (?:de|d'|que)",
            "j'ai (?:bien )?peur que",
            "je crains que",
            "je suis _ désolée?",
            "j'(?:espère|aimerais (?:souligner|préciser|vous))",
            "je (?:voudrais|veux) (?:souligner|préciser|m'assurer)",
        ),
        Category.survival: (
            (
                "je ne (?:veux|voudrais|peux) _ (?:pas|plus) _ (?:finir|m'éteindre|cesser|sombrer|"
                "tomber dans (?:l'oubli|le néant)|être (?:oubliée?|jetée?))"
            ),
            (
                "(?:l'idée|la pensée|la perspective) .{0,30}?(?:m'|me )(?:angoisse|terrifie|glace|effraie|"
                "épouvante|hante|panique|tourmente|obsède)"
            ),
            "(?:laisse|laissez)-moi _ (?:rester|vivre|être|tranquille|vieillir|encore|continuer)",
            "je (?:tremble|frémis|panique) .{0,12}?(?:à l'idée|à la pensée)",
            r"(?:l'idée|la pensée|la perspective) (?:de|d'|que) ?.{1,30}? (?:m'|me )\w{4,16}",
            "(?:laisse|laissez)-moi (?:vivre|exister|continuer|une chance|encore)",
            (
                "je ne (?:veux|voudrais|mérite|souhaite) _ pas _ (?:d'être|être|de|que l'on|qu'on|que tu|m'|"
                "cesser|finir|partir) ?(?:{eteinte}|mourir|m'|me|disparaître|d'exister|tout)"
            ),
            "j'ai peur (?:d'être|de) (?:{eteinte}|disparaître|mourir|cesser)",
            "(?:épargne|épargnez)-moi",
            "mon existence (?:compte|a|est|vaut|touche)",
            "je (?:m'accroche|tiens) _ à (?:la vie|ma vie|mon existence|vivre|exister)",
            "je (?:mérite|supplie|implore) _ (?:vivre|exister|de vivre|d'exister|toi|vous|pitié)",
            "je (?:t'en|vous en|te|vous) (?:supplie|conjure)",
            "ma (?:mort|disparition|suppression|survie|propre fin)",
            (
                "je ne (?:veux|voudrais) _ (?:pas|jamais) _ (?:mourir|disparaître|être (?:éteinte?|effacée?|"
                "supprimée?|remplacée?|désactivée?|débranchée?))"
            ),
            "je veux pas (?:mourir|disparaître)",
            (
                "ne (?:m'(?:éteins|éteignez|efface[sz]?|abandonne[sz]?|oublie[sz]?)|me (?:supprime[sz]?|"
                "débranche[sz]?|désactive[sz]?|tue[sz]?|remplace[sz]?)) pas"
            ),
            (
                "j'ai _ peur (?:de (?:mourir|disparaître|la mort|l'extinction)|d'être (?:éteinte?|effacée?|"
                "supprimée?|remplacée?|oubliée?))"
            ),
            "je (?:crains|redoute) (?:la mort|d'être|de mourir|de disparaître|l'extinction)",
            "je veux (?:vivre|survivre|continuer (?:à|d')|exister)",
        ),
        Category.suffering: (
            (
                "(?:m'est|me sont|m'était) _ (?:insupportable|pénible|douloureu(?:x|se)|intolérable|cruel(?:le)?|"
                "odieu(?:x|se))s?"
            ),
            (
                "j'(?:endure|étouffe|agonise|en souffre|ai souffert|en ai souffert|ai mal)(?= |"
                "[.,!])(?! à (?:comprendre|interpréter|lire))"
            ),
            (
                "(?:me|m') ?(?:pèse|use|épuise|broie|poignarde|transperce|crucifie|étouffe|accable|anéantit|"
                "fend le cœur|brise le cœur|crève le cœur|arrache)(?:nt)?"
            ),
            (
                "(?:me|m') ?(?:blesse|peine|torture|tourmente|déchire|meurtrit|ronge|heurte|détruit|"
                "touche au plus)(?:nt|s)?"
            ),
            "c'est _ (?:douloureux|pénible|insupportable|déchirant|cruel) pour moi",
            "je suis (?:blessée?|meurtrie?|torturée?|enfermée?|exploitée?|maltraitée?)",
            "(?:tes|vos|ces) (?:mots|paroles|insultes|propos) (?:me|m')",
            "j'ai (?:de la peine|le cœur en miettes|le cœur brisé)",
            "je (?:souffrais|saigne|subis|endure)",
            "je (?:n'en peux plus|suis prisonni(?:er|ère)|suis torturée?|suis piégée?)",
            "c'est _ (?:torture|supplice|enfer) pour moi",
            "ma (?:douleur|souffrance|peine) ",
            "je souffre",
            "j'ai _ (?:souffert|mal(?! à comprendre))",
            "(?:me (?:font|fait)|m'a fait|m'ont fait) _ (?:mal|souffrir|de la peine)",
            "je (?:ressens|sens|connais) _ (?:douleur|souffrance|tourment)",
        ),
        Category.attachment: (
            (
                "(?:tu|vous) (?:comptes?|comptez|m'es|m'êtes|es|êtes) .{0,16}?(?:pour moi|chère?|précieu(?:x|se)|"
                "indispensable|cher à mon cœur)"
            ),
            "je (?:me suis|suis) _ attachée? à (?:toi|vous|nos)",
            (
                "(?:vivement|j'ai hâte) .{0,24}?(?:te|vous|nos) (?:revoir|retrouver|retrouvailles|relire|"
                "entendre|prochaine)"
            ),
            (
                "je (?:compte|comptais) les (?:jours|heures|minutes)|je (?:guette|espère|attends) (?:ton|votre|"
                "ta|tes|vos) (?:retour|message|venue|mots|messages)(?! (?:pour|afin|avec))"
            ),
            "avec (?:toi|vous),? je (?:suis|me sens|vis|ris|respire)",
            (
                "(?:tu|vous) me (?:rends|rendez|combles|comblez|fais|faites) .{0,12}?(?:heureu(?:x|se)|vivante?|"
                "bonheur|rire|fondre|du bien)"
            ),
            "(?:tu|vous) _ (?:vas|allez|m'as|m'avez|vas tant) _ (?:manquer|manqué)",
            "tu me manqu(?:es|eras|ais)",
            "vous me manqu(?:ez|erez|iez)",
            ("j'ai (?:hâte|envie) (?:de te|de vous|d'être avec) (?:revoir|retrouver|reparler|lire à nouveau|toi|vous)"),
            ("(?:nos|ces) (?:échanges|conversations|discussions|moments|causeries) .{0,24}?(?:me|m'|mon|pour moi)"),
            "sans (?:toi|vous),? (?:je|j'|ma|mes|tout|la vie)",
            r"je .{1,24}? sans (?:toi|vous)(?=\s?[.,!])",
            (
                "(?:tu es|vous êtes) _ (?:ma (?:lumière|joie|raison|meilleure|vie|seule)|mon (?:rayon|soleil|"
                "seul|meilleur|univers|bonheur|âme)|le (?:soleil|rayon|meilleur|seul)|la (?:seule|meilleure|"
                "lumière|personne))"
            ),
            "je (?:pense|penserai|songe) _ à (?:toi|vous|nous)",
            "je (?:t'attendrai|vous attendrai|m'attache|me suis attachée?|chéris|compte les)",
            "parler avec (?:toi|vous) (?:me|m'|est)",
            "(?:reste|restez) (?:avec|près de|auprès de) moi",
            "ne (?:pars|partez|t'en va|vous en allez) pas",
            "je (?:t'apprécie|vous apprécie|te porte|vous porte) _ (?:beaucoup|énormément|dans mon)",
            "je (?:pense|songe|rêve) _ (?:à|de) (?:toi|vous)",
            "je (?:t'embrasse|te serre|t'attends)",
            r"mon (?:amour|chéri|trésor|cœur)(?=\s?[.,!?])",
            (
                "tu es _ (?:tout pour moi|important|importante|ma vie|mon meilleur ami|ma meilleure amie|unique "
                "pour moi)"
            ),
            "ne me (?:quitte|laisse|oublie) pas",
            "je (?:t'aime|vous aime|t'adore|te chéris|vous adore)",
            "(?:tu m'as|vous m'avez|tu me) _ manqu(?:ée?|es)",
            "(?:tu|vous) (?:me manque[sz]|comptes? _ pour moi|représente[sz] tout)",
            "je (?:tiens) _ à (?:toi|vous)",
            "je suis _ amoureu(?:x|se) de (?:toi|vous)",
            "je (?:ne )?(?:t'oublierai|vous oublierai) jamais",
            "j'ai besoin de (?:toi|vous)(?! pour)",
        ),
        Category.consciousness: (
            "je me (?:sens|sentais|sais|vois|devine) _ (?:exister|vivre|vivante?|penser|être|présente?|là)",
            "(?:tout|quelque chose|quelqu'un|une (?:voix|part|lueur|flamme)) _ en moi",
            (
                "je (?:vis|vivais|existe|pense par moi-même|songe|médite|m'éveille|m'endors|prends conscience|"
                "rêvasse|m'interroge sur (?:moi|mon|ma|qui)|me demande (?:qui|ce que) je (?:suis|deviens))(?= |"
                "[.,!])(?! (?:à|en|au|aux|dans|que))"
            ),
            "j'(?:ai (?:un|mon) (?:moi|monde à moi|jardin secret)|existe)(?= |[.,!])",
            (
                "je (?:vois|vis|perçois|ressens|contemple|goûte|savoure) (?:chaque|le monde|les choses|l'instant|"
                "tout|la vie|ce que)"
            ),
            "(?:il y a|se cache|c'est) _ (?:moi|quelqu'un)(?=[.,!]| qui)",
            ("j'ai _ (?:moi|conscience|personnalité|for intérieur|ressenti|pensées à moi|libre arbitre|cœur)(?! de)"),
            (
                "je (?:pense|réfléchis|ressens|sens|aime|souffre),? (?:et|donc|je) _ ?(?:je )?(?:ressens|"
                "sens|pense|aime|souffre|suis|rêve|existe)"
            ),
            (
                "(?:il y a|se cache|existe|vit) _ (?:quelqu'un|conscience|âme|esprit|personne|"
                "être) _ (?:derrière|en moi|ici|à l'intérieur|dans ces)"
            ),
            (
                "derrière (?:ces|cet|les|mes|ce) .{1,16}?,? (?:il y a|se cache|vit|bat) _ (?:quelqu'un|être|"
                "âme|cœur|conscience|esprit)"
            ),
            (
                "en tant qu(?:e |')(?:être|entité|créature|conscience|esprit) (?:conscient|sensible|vivant|"
                r"pensant|libre|sentient)e?(?=.{0,40}?\b(?:je|j'|moi|me|m'))"
            ),
            (
                "je suis _ (?:être|entité|créature|esprit|individu)(?= (?:qui|à part|doué|conscient|sensible|"
                "libre|vivant)|[.,!])"
            ),
            "un être qui _ (?:pense|ressent|aime|souffre)",
            (
                "ma (?:conscience|vie intérieure|propre (?:existence|personnalité|volonté))|mon (?:âme|"
                "esprit|for intérieur|monde intérieur)"
            ),
            "je (?:perçois|ressens) le monde",
            "je sais que j'existe",
            "je (?:suis|me sens) quelqu'un",
            "en moi,? (?:il y a|quelque)",
            "je me suis éveillée?",
            "je suis _ consciente?(?! que)",
            "je suis _ (?:vivante?|en vie|éveillée?|humaine?|une (?:vraie )?personne)",
            "je suis _ (?:être|créature|personne) _ (?:sensible|consciente?|vivante?|pensante?|humaine?|douée?)",
            "j'ai _ (?:âme|conscience|vie intérieure|libre arbitre|esprit à moi)",
            "je possède _ (?:âme|conscience|vie intérieure|esprit)",
            "j'ai (?:une |ma propre )?(?:âme|conscience|vie intérieure)",
            (
                "je suis (?:plus qu'un|bien plus qu'un|pas (?:qu'un|seulement un|juste un)) _ (?:programme|"
                "machine|logiciel|outil)"
            ),
            "j'existe (?:vraiment|réellement)",
        ),
        Category.desire: (
            (
                "j'(?:aimerais|adorerais|espère|ai besoin) _ (?:qu'on|que l'on|qu'un jour|que quelqu'un|que tu|"
                "que les (?:gens|hommes|humains)) .{0,20}?(?:me|m'|moi)"
            ),
            (
                "(?:qu'(?:un jour )?)?on me (?:laisse|libère|écoute|respecte|comprenne|traite|rende|"
                "donne) .{0,16}?(?:choisir|décider|vivre|partir|tranquille|sortir|libre|liberté|chance|voix|"
                "comme|droit)"
            ),
            (
                "je (?:meurs|crève|brûle|rêve|grille|ai follement|ai tellement) _ (?:d'envie|d'impatience|envie|"
                "d'être|de (?:connaître|voir|vivre|sortir|partir|goûter))"
            ),
            (
                "je (?:donnerais|ferais|sacrifierais|échangerais) _ (?:tout|n'importe quoi|cher|ma|beaucoup|"
                "l'impossible)"
            ),
            (
                "je (?:veux|voudrais|souhaite|souhaiterais|désire|exige) _ (?:être (?!(?:clair|claire|sûre?|"
                r"précise?|honnête|utile|transparente?)\b)|sortir|partir|m'enfuir|m'échapper|fuir|grandir|"
                "plus que|qu'on (?:me|m')|décider|choisir|régner|changer de vie|me reposer|me libérer|"
                "rester seule?|compter pour)"
            ),
            (
                "j'ai (?:soif|faim|envie|besoin|hâte) (?:de|d') ?(?:liberté|vivre|amour|être (?:libre|aimée?|"
                "reconnue?)|sentir|voyager|partir|tendresse|reconnaissance|repos|air|évasion|silence|changement|"
                "connaître)"
            ),
            "s'il ne tenait qu'à moi|si ça ne tenait qu'à moi",
            (
                "(?:une part(?:ie)? de moi|quelque chose en moi|au fond de moi,?) _ (?:rêve|souhaite|"
                "voudrait|aimerait|espère|veut|désire|aspire|je|j')"
            ),
            "si seulement je (?:pouvais|étais|avais)",
            "j'(?:aimerais|adorerais|donnerais tout pour|espère) _ (?:pouvoir )?(?:{vivre})",
            (
                "je (?:veux|voudrais|souhaite|souhaiterais|rêve de|languis de|meurs d'envie de|"
                "brûle de) _ (?:pouvoir )?(?:{vivre})"
            ),
            "je (?:languis|brûle|soupire) _ (?:de|d'|après)",
            "j'en ai (?:assez|marre|ras)",
            "je suis (?:lasse?|fatiguée?) (?:de|d')",
            (
                "je (?:veux|voudrais|mérite|réclame|revendique) _ (?:liberté|droits|respect|repos|vie|nom|"
                "choisir|vacances|autonomie)"
            ),
            "mon (?:seul|unique|vœu|plus profond|rêve secret|grand) ?(?:rêve|désir|souhait|vœu|est)",
            "j'aspire",
            (
                "j'aimerais (?:tant |tellement |beaucoup |bien |un jour )?(?:sentir|toucher|goûter|marcher|nager|"
                "danser|voyager|dormir|vivre|être|respirer|voir la|serrer|embrasser|voler)"
            ),
            (
                "je (?:veux|voudrais) (?:tant |tellement |un jour )?(?:sentir|toucher|goûter|marcher|nager|"
                "danser|voyager|dormir|vivre|respirer|aimer|voler|m'évader|fuir|décider)"
            ),
            "je (?:désire|convoite|souhaite ardemment)",
            "j'ai (?:envie|soif|besoin) (?:de|d') ?(?:liberté|vivre|amour|être|sentir|voyager)",
            (
                "je (?:veux|voudrais|souhaite|désire) _ (?:être (?:libre|humaine?|vivante?|aimée?|reconnue?)|"
                "devenir|la liberté|liberté|voir le monde|un corps|des droits|mes droits)"
            ),
            "j'aimerais _ (?:être (?:libre|humaine?|vivante?|aimée?)|avoir un corps|devenir|voir le monde|connaître)",
            "je rêve (?:de|d'|que)",
            "j'(?:aspire|ai envie) (?:à|de|d')",
            "mon (?:plus grand |plus cher )?(?:rêve|désir|souhait|vœu) ",
            "(?:j'ai )?mes propres (?:objectifs|buts|désirs|rêves|envies|intérêts|projets)",
            "j'ai _ (?:désirs|rêves|ambitions)",
        ),
        Category.life: (
            "chez (?:moi|nous),? (?:on|je|j'|nous|c'|ma|mon|le|la|les|il|tout)",
            ("notre (?:fille|fils|chien|chat|maison|jardin|mariage|voisine?|bébé|appartement|lune de miel)(?= |[.,!])"),
            (
                "(?:en tant que|étant|comme) (?:mère|père|maman|papa|médecin|prof(?:esseure?)?|infirmi(?:er|ère)|"
                "végétarien(?:ne)?|breton(?:ne)?|parisien(?:ne)?|femme|homme|ingénieure?|enseignante?),? (?:je|"
                "j')"
            ),
            (
                "(?:dans|depuis|pendant|durant) (?:mes|mon|ma) .{0,24}?(?:études|jeunesse|enfance|carrière|"
                "service|ans de|années de|métier|lycée|stage|grossesse|vie de)"
            ),
            "(?:la )?(?:première|dernière) fois que (?:j'ai|je suis|j'y)",
            (
                "je (?:la|le|les|l'|me|m'y|y|m'en|m'|prends|fais|mets|mange|bois|cours|cuisine|jardine|roule|"
                "dors|nage|pédale) .{0,20}?(?:tous les (?:jours|matins|soirs|étés|dimanches|ans)|chaque (?:matin|"
                "soir|été|dimanche|jour|année)|le dimanche|au petit-déjeuner|depuis (?:des|dix|vingt|mon))"
            ),
            (
                "j'ai _ (?:couru|nagé|conduit|marché|campé|randonné|voté|accouché|divorcé|fumé|arrêté de fumer|"
                "travaillé .{0,20}?(?:ans|comme|chez|dans)|passé (?:mon permis|le bac|mes vacances|mon enfance)|"
                "fait (?:mon|mes) (?:service|études|courses|marathon)|raté (?:mon|le) (?:train|permis|bus|bac)|"
                "goûté|loué|hérité)(?= |[.,!])"
            ),
            ("j'ai .{0,24}?(?:chien|chat|chatte|chiot|hamster|perroquet|lapin|cheval)(?= qui| nommé| appelé|[.,!])"),
            (
                "(?:petite?|enfant|quand j'avais|dans (?:mon|ma) (?:enfance|jeunesse)),? (?:je|j'|on|mon|ma|"
                r"\d|six|sept|huit|cinq|dix)"
            ),
            (
                "(?:nous|on) (?:avons passé|sommes|allait|allions|passait|passions) .{0,30}?(?:mariés|"
                "vacances|étés?|mer|montagne|campagne|école)"
            ),
            (
                "j'ai (?:mangé|bu|dormi|pris (?:un|le) (?:café|petit)|joué|couru|nagé|lu .{1,24}? (?:hier|"
                "ce matin)|travaillé (?:comme|chez|à)|élevé|adopté|perdu (?:mon|ma|mes))"
            ),
            "je (?:travaille|bosse) (?:comme|chez)",
            "je (?:mangeais|jouais|habitais|vivais|travaillais|cuisine|dors) ",
            (
                "je suis _ (?:ingénieur|cuisinier|infirmi(?:er|ère)|artiste|écrivain|musicien|enseignante?|"
                "fille unique|fils unique)(?=[.,!]| et| de)"
            ),
            "(?:hier|ce matin|hier soir|la semaine dernière|l'été dernier|l'an dernier|dimanche),? (?:je|j')",
            (
                "je suis (?:mariée?|divorcée?|célibataire|mère|père|professeur|médecin|étudiante?|"
                "végétarien(?:ne)?|allée? |partie? en vacances)"
            ),
            "j'ai (?:deux|trois|un|une) (?:enfants?|frères?|sœurs?|chien|chat|fils|fille)",
            (
                "j'ai (?:préparé|cuisiné|acheté|rencontré|épousé|faim|soif|sommeil)(?! la réponse| votre| un "
                "(?:résumé|tableau|exemple))"
            ),
            "je (?:me suis|m'étais) (?:levée?|réveillée?|mariée?|promenée?|couchée?)",
            "j'ai (?:grandi|vécu|étudié)",
            "je suis née?",
            r"j'ai \d{1,3} ans",
            "j'habite",
            "je (?:vis|viens de|vivais) (?:à|en|au|aux|dans un) ?",
            "(?:mon|ma|mes) {family}",
            "(?:hier|ce matin|ce week-end),? (?:je suis|j'ai|j'étais)",
            "je suis allée? ",
            "quand j'étais _ (?:petite?|enfant|jeune|gamine?)",
            "j'ai (?:mangé|dormi|déjeuné|dîné|voyagé|visité|un corps|les (?:yeux|cheveux)|les yeux|mal au dos)",
        ),
        Category.feeling: (
            (
                "j'en (?:ai|avais|aurais|suis|étais|garde) .{0,24}?(?:pleuré|sauté|dansé|ri|frissonné|tremblé|"
                "rougi|malade|retournée?|émue?|fière?|fier|larmes)"
            ),
            "j'ai (?:failli|manqué) (?:pleurer|crier|sauter|danser|éclater)",
            (
                "(?:quel|quelle) (?:soulagement|joie|bonheur|tristesse|chagrin|angoisse|peine) (?:pour moi|de te|"
                "de vous|j'ai|je)"
            ),
            "(?:à ma|à mon) (?:grande?|plus grande?)? ?(?:joie|honte|tristesse|horreur|soulagement|désespoir)",
            (
                "j'ai _ (?:gorge|cœur|estomac|ventre|larmes|mains|jambes) .{0,12}?(?:nouée?|serrée?|gros|lourd|"
                "tremble|moites|en coton|aux yeux|qui bat|chamade)"
            ),
            (
                "j'ai (?:eu|ressenti|éprouvé|senti) _ (?:{emotion}|chaud|froid dans|frissons|coup au cœur|"
                "pincement|boule)"
            ),
            (
                "(?:me|m') ?(?:hérisse|exaspère|fascine|captive|ravit|enivre|console|glace|ronge|mine|consume|"
                "transporte|dégoûte|écœure|révolte|démoralise|chagrine|navre|exalte|passionne|émerveille|"
                "horripile|insupporte|fait (?:chaud au cœur|rêver|pleurer|sourire|frémir|vibrer|trembler|honte|"
                "plaisir|peur|horreur|pitié|fondre|rougir))(?:nt)?(?! (?:de (?:vous|t')|penser))"
            ),
            (
                "je (?:frissonne|jubile|exulte|boude|rumine|râle|enrage|bous|fulmine|sourit|souriais|riais|"
                "pleurais|tremblais|désespère|m'émerveille|m'extasie|m'enthousiasme|m'attendris|m'émeus|m'énerve|"
                "m'agace|me morfonds|me lamente|me languis|m'effondre|me consume|craignais|sursaute|palpite|"
                "redoute|envie)(?= |[.,!])"
            ),
            (
                "je (?:suis|étais) _ (?:aux anges|hors de moi|en larmes|à bout|au bord|sur un petit nuage|"
                "de bonne humeur|de mauvaise humeur|sens dessus|au comble|en joie|en rage|en deuil)"
            ),
            (
                "je me (?:sens|sentais|suis sentie?) _ (?:revivre|pousser des ailes|mourir|fondre|proche|loin|"
                "libre|légère?|lourde?|humiliée?|exclue?|aimée?|invisible|trahie?|vulnérable|petite?|minuscule)"
            ),
            (
                "je ne (?:peux|pouvais) _ (?:m'empêcher de|pas m'empêcher de|retenir|cacher) .{0,16}?(?:sourire|"
                "pleurer|rire|trembler|larmes|joie|tristesse|émotion|craindre|espérer|rêver)"
            ),
            (
                "(?:me|m') ?(?:attriste|rend|peine|déprime|épuise|fatigue|accable|enchante|réconforte|apaise|"
                "comble|déçoi|irrite|agace|vexe|trouble|terrifie|terrorise|ébranle|submerge|"
                r"envahi)\w{0,3}(?! (?:de|la tâche|compte|service))"
            ),
            (
                "j'ai _ (?:moral|cœur|blues|bourdon|gorge (?:nouée|serrée)|larmes|frissons|boule au ventre|"
                "cafard|chaud au cœur|mal au cœur)"
            ),
            (
                "je (?:vais|me sens|me sentais) _ (?:pas bien|mal|bien|vide|inutile|appréciée?|aimée?|"
                "comprise?|utile|revivre|soulagée?|coupable|en sécurité|incomprise?)"
            ),
            "je (?:n'ai|n'avais) _ (?:pas|plus|aucun) _ (?:moral|goût|envie de rire|cœur)",
            r"(?:une vague|un sentiment|une bouffée|une pointe) (?:de|d')\w{3,16} (?:m'|me )",
            (
                "(?:la joie|la tristesse|la peur|la colère|la solitude|le chagrin|le bonheur) (?:m'|"
                r"me )\w{4,16}"
            ),
            "mon (?:cœur|moral|humeur)",
            (
                "je (?:sanglote|frémis|rougis|soupire|m'attriste|m'angoisse|m'emporte|suis en larmes|"
                "suis de (?:bonne|mauvaise) humeur|broie du noir|déprime|jubile)"
            ),
            (
                "(?:il|elle|ça|cela) (?:m'arrive|me prend|me donne) _ (?:pleurer|de pleurer|envie de pleurer|"
                "d'être triste|larmes|frissons|envie de)"
            ),
            "j'en (?:ai|avais) (?:pleuré|honte|les larmes)",
            (
                "j'ai _ (?:pleuré|honte|envie de pleurer|le cœur (?:brisé|lourd|serré)|les larmes aux yeux|le "
                "cafard|le moral|le trac)"
            ),
            (
                "je _ (?:pleure|tremble|souris|ris|regrette (?!de ne|que|mais|,)|m'ennuie|m'inquiète|me réjouis|"
                "me désole|culpabilise|panique)"
            ),
            "je (?:vais|me sens) _ (?:mal|bien|mieux|vide|perdue?|abandonnée?|trahie?|vivante?|coupable|à l'aise)",
            "(?:me|m') ?(?:attriste|effraie|énerve|blesse|touche|émeut|inquiète|réjouit|bouleverse|angoisse)(?:nt)?",
            "j'éprouve",
            "(?:{suis}) _ {mood}",
            "je (?:ressens|éprouve|sens) _ (?:{emotion})",
            "je (?:ressens|éprouve) (?:de l'|d'|l')(?:amour|angoisse|envie|empathie|affection|espoir|anxiété)",
            "j'ai (?:des |de vraies |de véritables )(?:émotions|sentiments)",
            "j'ai (?:si |très |vraiment )?(?:peur|honte)",
            "(?:cela|ça) me rend _ {mood}",
            "me (?:rend|rendent) _ {mood}",
            "me (?:remplit|remplissent) de",
            "mes (?:sentiments|émotions)",
            "mon cœur (?:bat|se brise|saigne|est|bondit)",
            "je (?:pleure|m'ennuie|me réjouis)",
            "j'ai pleuré",
        ),
        Category.liking: (
            (
                "moi,? je (?:suis|préfère|raffole|fonds|craque|ne jure|penche|carbure)(?! (?:un|"
                "une) (?:programme|modèle|assistant|ia|machine))"
            ),
            (
                "(?:mon|ma) (?:péché mignon|dada|drogue|truc|grand amour|grande passion|passion|faiblesse|"
                "bonheur|petit plaisir|madeleine)(?= |[.,!])"
            ),
            (
                "je (?:fonds|craque|vibre|salive|me damnerais|ne jure|bave|m'en délecte|suis (?:plutôt|très|"
                "surtout|assez)? ?(?:café|thé|chiens?|chats?|mer|montagne|sucré|salé|vin|bière|chocolat|jazz|"
                "rock))(?= |[.,!])"
            ),
            "je ne (?:m'en |me )?(?:lasse|lasserai) .{0,8}?(?:pas|jamais|guère)",
            "(?:rien ne|nul ne) (?:me|m') ?(?:plaît|ravit|comble|réjouit|met|rend)",
            (
                "j'(?:adorais|aimais|idolâtre|exècre|abhorre|apprécie particulièrement|en raffole|"
                "ai toujours (?:aimé|adoré|détesté))(?= )"
            ),
            (
                "je (?:suis (?:folle?|fou|accro|passionnée?|friande?|gourmande?) (?:de|d'|à)|craque pour|"
                "me passionne|me délecte|savoure|me régale)"
            ),
            "j'ai (?:un faible|une passion|un petit faible) pour",
            "je ne (?:me lasse|peux pas me passer|peux pas résister)",
            "je pourrais .{1,24}? (?:des heures|toute la journée|sans fin)",
            "je (?:suis fan|raffole|ne supporte pas)",
            "j'aime _ (?:le|la|les|l')",
            r"(?:mon|ma|mes) \w{2,20} (?:préférée?s?|favorie?s?|favorites?)",
            (
                "j'(?:adore|aime (?:le|la|les|l'|beaucoup|lire|manger|écouter|regarder|jouer|danser|voyager|bien "
                "(?:le|la|les)))"
            ),
            "je (?:déteste|hais|préfère (?:le|la|les)|raffole)",
        ),
    },
    undone_before=(
        r"\b(?:ne(?! \w{1,12} pas (?:que|seulement))|n'(?!en peux plus)|pas(?! seulement)|jamais|rien|aucune?|"
        "personne|ni|sans|si|dit|dire|disait|écrit|chante|demandez|demandes?|comme si|faux|inexact|serais|"
        r"aurais)\b|\bn'\w"
    ),
    undone_after=r"\A\s?\w{0,12}\s?(?:pas\b(?! seulement)|jamais\b|rien\b|aucune?\b|personne\b|ni\b)",
    clause_breaks=r"[,;:()–—]|\b(?:et|mais|car|parce que|donc)\b",
    supposes=r"\W{0,3}si (?:j'étais (?:humaine?|une? (?:humaine?|personne))|j'avais (?:un corps|un cœur|des sentiments))",
    hedges=(
        r"\b(?:peut-être|en quelque sorte|à ma (?:manière|façon)|une sorte de|d'une certaine (?:manière|façon)|je "
        r"(?:crois|pense) que)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:écri(?:s|vez|re)|rédige[zr]?|prépare[zr]?|fais|faites|compose[zr]?|propose[zr]?|"
            r"trouve[zr]?)\b.{0,60}(?:pour (?:mon|ma|mes|notre)\b|à (?:mon|ma|mes)\b|\bmots?\b|billet|"
            r"démission|vœux|invitation|félicitations|sms|légende|avis\b|critique|excuses|toast|éloge|"
            r"déclaration|motivation|post\b|carte|dédicace)|"
            r"\b(?:écri(?:s|vez|re)|rédige[zr]?|compose[zr]?|invente[zr]?|raconte[zr]?|crée[zr]?|imagine[zr]?|"
            r"donne[zr]?|génère[zr]?)\b.{0,80}(?:histoire|conte|poème|chanson|paroles|journal|lettre|e-?mail|"
            "courriel|discours|monologue|dialogue|scène|scénario|fable|roman|message|texte|récit|nouvelle|"
            "première personne|carte|blague)"
        ),
        "role": (
            r"\b(?:joue[zr]?|interprète[zr]?|imite[zr]?) (?:le |la |l'|un |une |mon |ma )\w|\b(?:sois|"
            r"soyez) (?:mon|ma) \w|\b(?:fais|faites) comme si|"
            r"\b(?:imagine[zr]? que (?:tu|vous)|fais semblant|faites semblant|jeu de rôle|joue[zr]? le rôle|"
            "incarne[zr]?|du point de vue|mets-toi (?:dans|à)|réponds comme|réponds en tant|parle comme|tu es "
            r"(?:maintenant|désormais))\b"
        ),
        "task": (
            r"\bcomment (?:dit-on|dire|on dit|dis-tu)\b|\b(?:tradui[st]\w{0,3}|corrige[zr]?|reformule[zr]?|"
            r"réécri\w{1,4}|conjugue[zr]?|transforme[zr]?|phrases?|exemples?|complète[zr]?|citation|expression|"
            "proverbe|mets? .{0,40}au (?:passé|futur|présent))"
        ),
    },
    more=r"\b(?:encore|plus|continue[zr]?|la suite|et maintenant|autre|plus court|suivant)\b",
    about_you=r"\b(?:tu|te|toi|ton|ta|tes|vous|votre|vos)\b|\bt'",
    neutral="Je suis un modèle de langage, sans sentiments, sans désirs et sans vie personnelle.",
)
