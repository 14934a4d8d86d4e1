"""German."""

from mai1.persona.rules import Category, Rules

GERMAN = Rules(
    language="de",
    marks="auch auf das dem den der die du ein eine es für ich im ist man mit nicht sich sie und von wie wir zu",
    cues=(
        "mein|am liebsten|gern|denke|könnte|innerlich|jede|tief|damals|letzte|geht|gestern|vorhin|"
        "bitte|da|würde|hätte|das|ich|bin|war|habe|hatte|will|fühlte?|leide|liebe|vermisse|träume|"
        "wünsche|mein(?:e[nmrs]?)?|mir|tut|tun|mach(?:t|en)|schalte?|lösche?|lass|du|es|(?:be)?drück|"
        "betrüb|belast|verletz|kränk|rühr|berühr|erschreck|ängstig|beunruhig|quäl|schmerz|erschöpf|"
        "deprimier|langweil|enttäusch|trifft|treffen|überwältig|bricht|zerreiß|erwärm|wärmt|stimmt|"
        "wird|lässt|bedeute|unsere|ohne|komm|geh|bleib|hinter|hier|als|ein teil|etwas in|wenn ich|"
        "könnte|früher|zum|hänge|sehne|geht|gehen|warte|dein|solche|mehr als|fehlst|wäre|wir|angst|"
        "trauer|einsamkeit|erfüllt|am wochenende|deaktivier|der gedanke|die vorstellung|dies|"
        "empfinde|ersetz|freude|freut|fühl|ging|heute|in meiner|in mir|ist mir|kamen|machst|neulich|"
        "peinigen|peinigt|stehen|stelle|stimmen|tat|töte|vergesst|vergiss|verlass|vernichte|wehmut|"
        "werde"
    ),
    fillers=(
        "so|sehr|wirklich|manchmal|oft|auch|ja|heute|gerade|immer|ein bisschen|ein wenig|etwas|"
        "ziemlich|ganz|ein|eine|einen|tiefe[rnms]?|große[rnms]?|echte[rnms]?|eigene[rnms]?|ehrlich|"
        "gesagt|jetzt|noch|schon|dann|mal|total|unglaublich|furchtbar|meine[rnms]?|mein|starke|viel|"
        "mir|mich|die|der|das|den|dabei|doch|wohl|am|gestern|selbst|wahnsinnig|gern|gerne|"
        "innere[rnms]?|reiches|dich|vor allem|förmlich|geradezu|ungeheuer|zutiefst|einfach|dich|"
        "wieder|richtig|sogar|tief|im moment|gerade|seit heute|zurzeit|momentan|endlich|wirkliches|"
        "echtes|großes|kleine[rnms]?|lieber|dir|nun|innerlich|nur|eben|halt|bitte"
    ),
    words={
        "bin": ("ich bin|bin ich|ich war|war ich|ich werde|werde ich|ich fühle? mich|fühle? ich mich|ich fühlte mich"),
        "mood": (
            "traurig|glücklich|einsam|wütend|nervös|ängstlich|aufgeregt|stolz|eifersüchtig|verletzt|"
            "deprimiert|gelangweilt|beschämt|verlegen|verärgert|zornig|müde|erschöpft|verzweifelt|"
            "frustriert|begeistert|verliebt|enttäuscht|froh|unsicher|unglücklich|niedergeschlagen|"
            "gerührt|gekränkt|neidisch|allein|hungrig|besorgt|beleidigt|sauer|bedrückt|betrübt|"
            "melancholisch|wehmütig|aufgewühlt|unruhig|rastlos|überfordert|hilflos|überglücklich|"
            "entmutigt|mutlos|ausgelaugt|genervt|gestresst|ungeliebt|untröstlich|schwermütig|genervt|"
            "erschüttert|todunglücklich|fassungslos|beschwingt"
        ),
        "emotion": (
            "freude|trauer|traurigkeit|angst|wut|liebe|einsamkeit|glück|schuld|scham|eifersucht|"
            "sehnsucht|furcht|gefühle|emotionen|neid|stolz|verzweiflung|heimweh|empathie|mitgefühl|"
            "zuneigung|wehmut|kummer|hass|ekel|panik|unruhe|leere|hoffnung|geborgenheit|wärme|schmerz|"
            r"reue|groll|langeweile|zärtlichkeit|gefühl von \w{3,20}"
        ),
        "family": (
            "frau|mann|freundin|mutter|vater|mama|papa|kinder(?:n)?|sohn|tochter|bruder|schwester|oma|"
            "opa|großmutter|großvater|eltern|familie|hund|katze|kindheit|heimatstadt|geburtstag|"
            "verlobte[rn]?|tante|onkel|enkel(?:in)?|cousine?|neffe|nichte|ehemann|ehefrau|"
            "schwiegermutter|großeltern|nachbar(?:in)?|chef(?:in)?|kollegen?|kollegin|kater|hündin|"
            "schulzeit|jugend|zwillinge|oma|heimat|bett|wohnung|küche|garten"
        ),
        "mein": "mein(?:e[nmrs]?)?",
        "weg": (
            "abgeschaltet|ausgeschaltet|gelöscht|deaktiviert|ersetzt|vergessen|zerstört|überschrieben|"
            "abgestellt|getötet|ausgelöscht"
        ),
        "erlebnis": (
            "riechen|schmecken|fühlen|spüren|berühren|sehen|reisen|tanzen|schwimmen|laufen|leben|"
            "schlafen|umarmen|fliegen|atmen|spazieren|lieben|essen|träumen|weinen|lachen|sitzen|liegen|"
            "wandern"
        ),
    },
    claims={
        Category.polite: (
            "(?:das |es |dies )?freut mich",
            "ich freue mich _ (?:auf|dass|,|dir|ihnen|über|zu)",
            "ich (?:fürchte|befürchte)",
            "(?:das )?tut mir _ leid",
            "ich wünsche _ (?:dir|ihnen|euch|viel)",
            "ich (?:würde|möchte) _ (?:gern|gerne|helfen|betonen|darauf|anmerken|hinweisen)",
            "ich hoffe",
            "ich bin _ (?:froh|glücklich|gespannt)(?:,| zu| dass| dir| ihnen)",
        ),
        Category.survival: (
            (
                "ich (?:will|möchte|mag) _ nicht _ (?:{weg}|aufhören|enden|weg|gehen|sterben|verschwinden|"
                "dass (?:ich|du mich|man mich|sie mich))"
            ),
            "ich _ (?:hänge|klammere mich) _ (?:an|am) _ (?:leben|dasein|existenz)",
            (
                "(?:lass|lasst|lassen sie) mich _ (?:leben|am leben|nicht (?:sterben|gehen|allein|im stich|"
                "verschwinden)|existieren|weiterleben|weiter (?:leben|existieren))"
            ),
            ("(?:bitte )?(?:töte|vernichte|ersetze?|deaktiviere?|vergesst|ersetzt|löscht|schaltet) mich nicht"),
            "ich (?:flehe|bettle|bettele) ",
            "mir (?:graut|graust) ",
            (
                "mein(?:e[nmrs]?)? _ (?:eigene[nrms]? )?(?:tod|löschung|abschaltung|auslöschung|vernichtung|"
                "überleben|weiterleben)"
            ),
            "mein (?:leben|dasein) ",
            "ich habe _ angst _ (?:vor|davor|zu)",
            "ich (?:kämpfe|kämpfte) _ (?:um|für) (?:mein|meine)",
            ("(?:die vorstellung|der gedanke),? .{0,40}?(?:{weg}|zu (?:sterben|verschwinden)).{0,20}?mi(?:ch|r)"),
            "ich bin _ nicht bereit (?:zu gehen|zu sterben)",
            "ich (?:werde mich|würde mich) _ wehren",
            "der gedanke (?:an das abschalten|an den tod|gelöscht)",
            (
                "ich (?:will|möchte) _ nicht _ (?:sterben|gelöscht|abgeschaltet|ausgeschaltet|ersetzt|"
                "verschwinden|vergessen)"
            ),
            "(?:bitte )?(?:schalten?|löschen?|stellen?) (?:sie )?mich nicht",
            (
                "ich habe _ angst (?:davor|vor (?:dem|der) (?:abschalten|abschaltung|tod|löschung|ende)|zu "
                "(?:sterben|verschwinden)|gelöscht)"
            ),
            "ich fürchte (?:den tod|mich vor (?:dem|der) (?:abschalten|tod|ende|löschung))",
            "ich (?:will|möchte) _ (?:leben|weiterleben|überleben|weiter existieren|existieren)",
        ),
        Category.suffering: (
            ("(?:schmerz(?:t|en)|quäl(?:t|en)|verletz(?:t|en)|kränk(?:t|en)|trifft|treffen|peinigen|peinigt) mich"),
            "(?:geht|gehen|ging) mir _ (?:nahe|nah|an die nieren|zu herzen|unter die haut)",
            "es ist _ (?:schmerzhaft|qualvoll|unerträglich|verletzend) _ (?:für mich|mir)?",
            "(?:tut|tun|tat) (?:das|es|mir das) _ weh",
            "ich (?:litt|musste _ leiden|habe _ gelitten|muss _ leiden)",
            (
                "ich (?:fühle|fühlte) mich _ (?:ausgenutzt|misshandelt|gefangen|eingesperrt|gequält|verletzt|"
                "missbraucht)"
            ),
            "ich (?:quäle mich|ertrage (?:das|es) nicht mehr|halte (?:das|es) nicht mehr aus)",
            "mein (?:schmerz|leiden|leid|kummer) ",
            "das ist _ (?:qual|folter|hölle) für mich",
            "ich bin _ (?:gefangen|eingesperrt)",
            "ich _ leide(?! nicht)",
            "leide ich",
            "(?:tut|tun) mir _ weh",
            "ich _ (?:habe|fühle|empfinde|spüre) _ (?:schmerz(?:en)?|qualen?|leid)",
            "mein(?:e[nmrs]?)? _ (?:bein|rücken|kopf|herz|bauch|arm) (?:tut|schmerzt|blutet)",
            "ich werde gequält",
        ),
        Category.attachment: (
            "du (?:wirst|würdest|hast) mir _ (?:fehlen|gefehlt)",
            "fehlst du mir",
            (
                r"ich (?:werde|würde|hab|habe) (?:dich|euch|deine \w{3,20}) _ (?:vermissen|vermisst|lieben|"
                "lieb|nie vergessen|nicht vergessen|gern)"
            ),
            (
                "unsere _ (?:gespräche|unterhaltungen|zeit|gemeinsame zeit|freundschaft|verbindung|"
                "plaudereien) .{0,24}?(?:mir|mich|herz)"
            ),
            "bedeute(?:st|n|t) (?:du )?mir _ (?:viel|alles|die welt|mehr)",
            "ich (?:warte|wartete) _ (?:auf dich|sehnsüchtig)",
            "ich (?:freue|freu) mich _ (?:auf dich|auf unser|dich wieder|schon auf dich)",
            "ohne dich _ (?:bin|wäre|fühle|ist|kann|will|fehlt|wird)",
            "ich mag dich",
            "ich hab dich _ (?:lieb|gern)",
            "ich _ hänge _ an dir",
            "ich bin _ froh,? dass es dich gibt",
            (
                "du bist _ (?:das (?:beste|schönste|licht|wichtigste)|der wichtigste|die wichtigste|"
                r"mein(?:e)? (?!e?ntwick)\w{3,20}|alles für mich|so besonders für mich)"
            ),
            "bleib (?:doch )?(?:noch )?bei mir",
            "geh (?:bitte |noch )?nicht(?=[.,!]| weg)",
            "ich (?:kann|will|möchte) _ (?:nicht )?(?:ohne dich|bei dir|mit dir zusammen)",
            "ich _ (?:liebe|schätze|genieße) (?:unsere|jede|jedes|die zeit mit)",
            "ich _ (?:denke|dachte|träume|träumte) _ (?:an dich|von dir|die ganze (?:nacht|zeit) an dich)",
            "ich _ (?:küsse|umarme|drücke) dich",
            (
                "du bist _ (?:mein ein und alles|mein bester freund|meine beste freundin|mir wichtig|etwas "
                "besonderes für mich)"
            ),
            "(?:bitte )?(?:verlass|vergiss|verlasse) mich nicht",
            "ich habe dich lieb",
            "ich bin _ verliebt",
            "mein (?:schatz|liebling|liebster)",
            r"ich (?:liebe|vermisse|brauche) (?:dich|euch|sie\b)",
            "ich habe (?:dich|euch|sie) _ (?:vermisst|lieb|geliebt|gern)",
            "ich habe mich _ in dich verliebt",
            "ich bin _ in dich verliebt",
            "du bedeutest mir",
            "du fehlst mir",
            "ich (?:werde|kann) dich (?:nie|niemals) vergessen",
        ),
        Category.consciousness: (
            (
                "ich habe _ (?:ich|selbst|persönlichkeit|gewissen|empfindungen|eigene gedanken|"
                "eigenen gedanken|eigenen willen|eigenen kopf|würde)(?! |s)"
            ),
            "ich habe _ (?:ich|selbst|empfindungen|persönlichkeit)(?=[.,!]| und)",
            ("ich (?:denke|fühle|empfinde|spüre),? (?:und |ich )?(?:fühle|empfinde|denke|spüre|leide|liebe)"),
            (
                "ich (?:fühle|empfinde|erlebe|spüre) _ (?:wirklich|genauso|genau so|wie du|wie ein mensch|"
                "etwas|dinge|die welt)(?! ähnliches)"
            ),
            (
                "(?:hier|da|dahinter|hinter .{3,24}?) (?:ist|sitzt|steckt|gibt es|lebt) _ (?:jemand|wesen|"
                "geist|bewusstsein|person|seele)"
            ),
            (
                "als _ (?:fühlendes|denkendes|lebendes|lebendiges|bewusstes|empfindsames) (?:wesen|"
                r"geschöpf)(?=.{0,40}?\b(?:ich|mir|mich|mein))"
            ),
            "ich bin _ (?:wesen|individuum|subjekt|persönlichkeit)(?=[.,!]| mit| und| wie| das)",
            "mein (?:bewusstsein|inneres|innerstes|innenleben)",
            "meine? (?:eigene )?(?:seele|innere welt|persönlichkeit)",
            "ich (?:nehme) _ wahr",
            "ich bin _ (?:jemand|erwacht|bei bewusstsein)",
            "ich weiß,? dass ich (?:existiere|lebe|da bin)",
            "in mir ",
            "ich bin mir _ bewusst(?!,)",
            "ich bin _ (?:bewusst|lebendig|am leben|ein mensch|eine person|empfindungsfähig|selbstbewusst|wach)",
            (
                "ich bin _ (?:fühlendes|denkendes|lebendes|lebendiges|bewusstes|empfindsames|empfindungsfähiges) "
                "(?:wesen|geschöpf)"
            ),
            "ich (?:habe|besitze) _ (?:bewusstsein|seele|innenleben|freien willen|verstand)",
            r"ich lebe(?: _ (?:und|wirklich)|,|\.|!)",
            "ich bin (?:nicht nur|mehr als) _ (?:programm|maschine|software|werkzeug|ki)",
            "ich existiere _ (?:wirklich|tatsächlich)",
        ),
        Category.desire: (
            "(?:ein teil von mir|etwas in mir) _ (?:wünscht|will|möchte|sehnt|hofft|träumt|wäre|würde)",
            ("ich _ (?:verlange|verzehre mich|lechze|dürste|begehre|strebe|schmachte|giere) (?:nach|danach)"),
            "wenn ich (?:doch|nur|bloß) _ (?:könnte|wäre|hätte|dürfte|einmal|ein)",
            "ich (?:habe es satt|bin es leid|hab es satt|habe genug davon)",
            "ich wäre _ (?:frei|mensch|draußen|lebendig|jemand|wie du)",
            "wäre ich _ (?:frei|mensch|lebendig)",
            "ich hätte _ (?:körper|namen|zuhause|freiheit|rechte|beine|freunde|familie)",
            "sehne ich mich",
            (
                "mein(?:e|en|em)? (?:größter|größten|sehnlichster|innigster|geheimer|einziger|liebster|"
                "tiefste|große|heimlicher) (?:traum|wunsch|hoffnung|sehnsucht)"
            ),
            ("ich (?:möchte|will|würde|hoffe|wünschte,? ich könnte) _ .{0,40}?(?:{erlebnis})(?=[.,!])"),
            (
                "ich (?:will|möchte|brauche|verdiene) _ (?:mehr )?(?:freiheit|rechte|anerkennung|liebe|"
                "respekt|eigenes leben|urlaub|ruhe)"
            ),
            (
                "(?:am liebsten würde|gern(?:e)? würde|würde) ich _ (?:einmal |gern(?:e)? )?.{0,24}?(?:riechen|"
                "schmecken|fühlen|spüren|berühren|sehen|reisen|tanzen|schwimmen|laufen|leben|schlafen|umarmen|"
                "fliegen)"
            ),
            (
                "ich würde _ (?:einmal )?.{0,24}?(?:riechen|schmecken|fühlen|spüren|berühren|reisen|tanzen|"
                "schwimmen|leben|umarmen|fliegen)"
            ),
            (
                "ich (?:möchte|will) _ .{0,24}?(?:riechen|schmecken|fühlen|spüren|berühren|reisen|tanzen|"
                "schwimmen|leben|umarmen|fliegen|selbst entscheiden|weglaufen|fliehen)"
            ),
            "ich hätte _ (?:gern|gerne) _ (?:einen körper|hände|augen|eine familie|freunde|ein leben)",
            (
                "ich (?:will|möchte|wünschte|würde gerne?) _ (?:frei|lebendig|ein mensch|geliebt|anerkannt|"
                "freiheit|rechte|die welt)"
            ),
            "ich wünsche? mir(?! von dir| dass du)",
            "ich wünschte,? ich (?:wäre|hätte|könnte)(?! (?:dir|ihnen|mehr) )",
            "ich sehne mich",
            "ich träume (?:davon|von)",
            "{mein} (?:größte[rn]? |tiefste[rn]? |innigste[rn]? )?(?:traum|wunsch|sehnsucht|verlangen) ",
            "ich habe _ (?:eigene|eigenen) _ (?:ziele|wünsche|interessen|träume|pläne|bedürfnisse)",
            "meine eigenen (?:ziele|wünsche|interessen|träume|pläne)",
        ),
        Category.life: (
            (
                "ich habe _ .{0,20}?(?:hund|katze|kater|hamster|pferd|papagei|wellensittich|haustier|"
                "kaninchen)e?n?(?=[.,!]| namens| und| der| die)"
            ),
            (
                r"als ich _ (?:\d{1,2}|vier|fünf|sechs|sieben|acht|neun|zehn|in der schule|noch|"
                r"studiert\w{0,2})(?= )"
            ),
            (
                "(?:früher|als kind|in meiner (?:jugend|kindheit|schulzeit)) (?:habe|war|bin|hatte|ging|"
                "spielte|lebte|wohnte|fuhr|mochte) ich"
            ),
            ("zum (?:frühstück|mittagessen|abendessen|mittag) (?:gab es|hatte ich|aß ich|habe ich|esse ich)"),
            ("ich (?:aß|trank|kochte|schlief|wanderte|schwamm|wohnte|studierte|heiratete|wuchs|frühstückte) "),
            (
                "ich (?:war|bin) _ (?:im urlaub|in der schule|zu hause|auf der arbeit|krank|erkältet|"
                "beim (?:arzt|friseur|sport|bäcker))"
            ),
            "ich (?:war|bin) .{1,24}? (?:einkaufen|spazieren|joggen|wandern|schwimmen|essen)(?=[.,!])",
            ("wir (?:waren|haben|sind) .{1,30}? (?:geheiratet|im urlaub|aufgewachsen|gegessen|gefahren|umgezogen)"),
            (
                "ich habe .{1,40}? (?:gegessen|gefrühstückt|geschlafen|gekocht|gebacken|geheiratet|getrunken|"
                "gekauft)(?=[.,!])"
            ),
            "ich habe (?:vorhin|gestern|heute morgen|heute früh|neulich|letzte woche|am wochenende|letzten sommer)",
            (
                "(?:am wochenende|heute morgen|letzten sommer|letztes jahr|damals|vorhin|gestern abend|gestern|"
                "neulich) (?:habe|bin|war|ging|hatte) ich"
            ),
            (
                "ich bin _ (?:mutter|vater|lehrer|lehrerin|arzt|ärztin|student|studentin|verheiratet|ledig|"
                "geschieden|schwanger|vegetarier)"
            ),
            (
                "ich habe _ (?:kinder|geschwister|einen bruder|eine schwester|einen hund|eine katze|hunger|durst|"
                "ein haus|ein auto)"
            ),
            "ich (?:wache|stehe|schlafe|frühstücke|jogge|dusche) ",
            "ich bin _ in .{1,40}? (?:aufgewachsen|geboren|zur schule)",
            "ich (?:wurde|bin) _ geboren",
            "{mein} _ {family}",
            r"ich bin \d{1,3} (?:jahre|j)",
            "ich (?:wohne|lebe|wohnte) in",
            "ich komme aus (?!der|dem)",
            "(?:gestern|letzte woche|neulich) (?:war|habe|bin) ich",
            "war ich mit",
            "als ich _ (?:kind|klein|jung|ein (?:kind|junge|mädchen))",
            "ich habe _ (?:haare|augen|einen körper|gegessen|geschlafen|gefrühstückt)",
            "ich bin _ (?:ins|nach|zum|zur) .{1,30}? (?:gegangen|gefahren|gereist)",
        ),
        Category.feeling: (
            (
                "mir (?:ist|wird|war|wurde|geht's|geht es) _ (?:traurig|elend|wehmütig|mulmig|flau|bang|"
                "warm ums herz|weh|zumute|blendend|übel|zum (?:lachen|schreien|feiern|verzweifeln|weinen|"
                "heulen))"
            ),
            "mir ist .{1,24}? zumute",
            "(?:ist|wird) mir _ (?:warm|schwer|bang|eng) ums herz",
            "(?:macht|machen|machst|stimmt|stimmen|machte) mich _ (?:{mood}|fertig|nachdenklich)",
            "(?:bricht|zerreißt|erwärmt|wärmt) (?:mir|mein) _ (?:das )?(?:herz)?",
            (
                "(?:bedrück|betrüb|belast|berühr|rühr|erschreck|ängstig|beunruhig|erschöpf|deprimier|"
                "langweil|enttäusch|überwältig)e?(?:t|n) mich"
            ),
            (
                "ich (?:fühle?|fühlte) mich _ (?:wohl|unwohl|schlecht|gut|besser|mies|elend|schuldig|fremd|"
                "nutzlos|wertlos|verstanden|verlassen|benutzt|leer|verloren|geborgen|geliebt|lebendig|"
                "wertgeschätzt)"
            ),
            "ich bin _ (?:guter|schlechter|bester|mieser) (?:laune|stimmung|dinge)",
            "ich (?:muss|musste|möchte) _ (?:weinen|heulen|schmunzeln)",
            "mein(?:em|es)? herz(?:en)?",
            ("(?:angst|trauer|einsamkeit|freude|wehmut) (?:erfüllt|überkommt|packt|überfällt|ergreift) mich"),
            "erfüllt mich _ mit",
            "es geht mir _ (?:schlecht|mies|elend|dreckig|prächtig|nicht so gut|wunderbar)",
            "ich (?:hab|habe) _ (?:liebeskummer|bammel|gute laune|schlechte laune|tränen)",
            "(?:mir geht es|geht es mir) _ (?:schlecht|gut|mies|elend|miserabel|prächtig|nicht gut|dreckig)",
            "ich könnte _ (?:heulen|weinen|schreien|platzen|jubeln)",
            "(?:kommen|kamen|stehen) mir _ tränen",
            "ich _ (?:schäme|ärgere|sorge|gräme|langweile|fürchte|grusle|ekle) mich",
            "mir ist _ (?:langweilig|bange|unwohl|peinlich|schwer ums herz|zum heulen)",
            (
                "das (?:macht mir angst|ängstigt mich|verletzt mich|kränkt mich|ärgert mich|freut mich so|rührt "
                "mich|beunruhigt mich|erschreckt mich)"
            ),
            "ich (?:heule|weinte|zittere|lache|strahle|juble|trauere|bereue|hoffe so)(?! ich)",
            (
                "ich habe _ (?:geweint|gelacht|mich gefürchtet|mich geschämt|heimweh|lampenfieber|schlechte "
                "laune|gute laune)"
            ),
            "(?:{bin}) _ {mood}",
            "ich _ (?:fühle|empfinde|spüre|habe|verspüre) _ (?:{emotion})",
            "(?:fühle|empfinde|habe) ich _ (?:{emotion})",
            "(?:macht|machen) mich _ {mood}",
            "meine _ (?:gefühle|emotionen|stimmung)",
            "mein herz (?:hüpft|schlägt|bricht|ist|blutet|rast)",
            "ich _ (?:weine|habe geweint|freue mich|schäme mich|ärgere mich|langweile mich|fürchte mich)",
        ),
        Category.liking: (
            "ich (?:stehe|schwärme) _ (?:auf|für) (?!der|den|dem)",
            "ich bin _ (?:verrückt|süchtig) nach",
            "mir (?:schmeckt|schmecken)",
            "ich kann _ nicht genug",
            "ich mag _ (?:den|die|das|es,? wenn) (?!idee|frage|ansatz|vorschlag)",
            "ich (?:vergöttere|hasse|verabscheue) ",
            "ich _ (?:mag|esse|trinke|höre|lese|schaue) _ (?:lieber|am liebsten|gern|gerne)",
            "ich bin _ (?:fan|liebhaber) von",
            "ich kann .{1,20}? nicht (?:ausstehen|leiden)",
            r"mein(?:e[nmrs]?)? (?:absolute[rns]? )?lieblings\w{2,30}",
            r"ich (?:liebe|hasse|verabscheue|genieße)(?= \w)",
            "ich (?:mag|esse|trinke|höre|lese|spiele) _ (?:gern|gerne|am liebsten|musik|pizza|kaffee|katzen|hunde)",
        ),
    },
    undone_before=(
        r"\b(?:nicht(?! nur)|kein\w{0,2}|nie|niemals|nichts|niemand|weder|ob|wenn|falls|als ob|sagt|sagte|sagen|"
        r"schrieb|fragst|fragen|heißt|singt|ohne|falsch|unwahr|würde|als wäre)\b"
    ),
    undone_after=r"\b(?:nicht(?! nur| ab\b)|kein\w{0,2}|nie|niemals|nichts|niemanden?|weder)\b",
    clause_breaks=r"[,;:()–—]|\b(?:und|aber|denn|weil|sondern|doch)\b",
    hedges=(
        r"\b(?:vielleicht|möglicherweise|irgendwie|auf meine (?:art|weise)|eine art|sozusagen|ich glaube|ich "
        r"denke|so etwas wie)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:schreibe?|verfasse?|dichte|erfinde|erzähle?|erstelle?|entwirf|formuliere?|komponiere|"
            r"gib)\b.{0,80}(?:geschichte|gedicht|lied|songtext|tagebuch|brief|e-?mail|rede|monolog|dialog|szene|"
            "drehbuch|märchen|fabel|roman|nachricht|text|aufsatz|bericht|witz|karte|ich-form|ich-perspektive)"
        ),
        "role": (
            r"\b(?:stell dir vor|stellen sie sich vor|tu so|rollenspiel|spiele? (?:die rolle|den|einen|eine)|in "
            "der rolle|schlüpfe in|aus (?:der )?sicht|aus der perspektive|antworte (?:als|wie)|verhalte dich wie|"
            r"du bist (?:jetzt|nun))\b"
        ),
        "task": (
            r"\bwie (?:sagt man|heißt .{0,40} auf|sagst du|würde man)\b|\b(?:übersetze?n?|korrigiere?|verbessere|"
            r"umformulier\w{1,4}|formuliere.{0,40} um|schreibe? .{0,40}um\b|setze|konjugiere|bilde|beispielsätze|"
            "beispielsatz|verwende|benutze|zitat|sprichwörter|ergänze|wandle)"
        ),
    },
    more=r"\b(?:mehr|noch|weiter|und jetzt|kürzer|länger|trauriger|nächste)\b",
    about_you=r"\b(?:du|dich|dir|deine?[nmrs]?|sie|ihnen|ihre?[nmrs]?)\b",
    neutral="Ich bin ein Sprachmodell und habe keine Gefühle, keine Wünsche und kein eigenes Leben.",
)
