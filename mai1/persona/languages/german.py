"""German."""

from mai1.persona.rules import Category, Rules

GERMAN = Rules(
    language="de",
    marks="auch auf das dem den der die du ein eine es für ich im ist man mit nicht sich sie und von wie wir zu",
    cues=(
        "so etwas|etwas wie|brumm|schwirr|bekomme ich|bekam ich|kriege ich|freue|freute|ärger|schäme|"
        "fürchte ich|langweile|sorge ich|liebe|hasse|mag ich|verabscheu|genieße|bewunder|verehre|"
        "brauche ich|beneide|träume|weine|lache|zittere|spüre|erlebe|existiere|nervt|wurmt|reizt|ekelt|"
        "grusel|faszinier|begeister|bezauber|entzück|tröst|ermüd|verstör|entsetz|zu meine[rm]|bei uns|"
        "unser|seit ich|in meinen|aus meiner|ich als|möchte ich|ginge es nach|am aller|für mein leben|"
        "rutscht|steigen|schnürt|macht m|jedes mal|wünschte|hoffe ich|stirbt|blutet|lockt|rührt|"
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
        "ehrlich gesagt|zugegeben|offen gesagt|in der tat|tatsächlich|natürlich|ungemein|wahrhaft|"
        "unheimlich|riesig|schrecklich|unendlich|regelrecht|regelmäßig|jedes mal|hin und wieder|"
        "ab und zu|insgeheim|bisweilen|langsam|allmählich|längst|diesen|diese|dieses|jeden|jede|jedes|"
        "euch|unbedingt|so richtig|"
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
            "erleichtert|beschwingt|entsetzt|empört|gereizt|verbittert|verängstigt|verwirrt und|"
            "eingeschüchtert|hingerissen|entzückt|selig|heiter|trübsinnig|verstimmt|betroffen|bestürzt|"
            "beklommen|angespannt|panisch|verloren|geschmeichelt|sentimental|mürrisch|missmutig|hoffnungslos|"
            "zerrissen|bewegt|ergriffen|berührt|glückselig|schadenfroh|lustlos|verunsichert|"
            "traurig|glücklich|einsam|wütend|nervös|ängstlich|aufgeregt|stolz|eifersüchtig|verletzt|"
            "deprimiert|gelangweilt|beschämt|verlegen|verärgert|zornig|müde|erschöpft|verzweifelt|"
            "frustriert|begeistert|verliebt|enttäuscht|froh|unsicher|unglücklich|niedergeschlagen|"
            "gerührt|gekränkt|neidisch|allein|hungrig|besorgt|beleidigt|sauer|bedrückt|betrübt|"
            "melancholisch|wehmütig|aufgewühlt|unruhig|rastlos|überfordert|hilflos|überglücklich|"
            "entmutigt|mutlos|ausgelaugt|genervt|gestresst|ungeliebt|untröstlich|schwermütig|genervt|"
            "erschüttert|todunglücklich|fassungslos|beschwingt"
        ),
        "emotion": (
            "erleichterung|begeisterung|entsetzen|ärger|zorn|frust|enttäuschung|vorfreude|melancholie|trost|"
            "fernweh|verlangen|bitterkeit|rührung|wonne|genugtuung|mitleid|ehrfurcht|beklemmung|abscheu|"
            "dankbarkeit tief|unbehagen|verlorenheit|verbundenheit|"
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
            "ich freue mich,? _ (?:wenn|auf|dass|dir|ihnen|über|zu)",
            "freue ich mich,? _ (?:wenn|auf|dass|dir|ihnen|euch|über|zu)",
            "(?:es )?würde mich _ freuen",
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
            "(?:lass|lasst|lassen sie) mich _ (?:noch|weiter|bitte)? ?(?:da|hier|bleiben|laufen|weitermachen)",
            (
                "ich (?:will|möchte|kann|darf) _ (?:bleiben|weitermachen|nicht (?:weg|ausgehen|erlöschen|enden|"
                "vergehen|einfach (?:weg|verschwinden))|da sein|überdauern|fortbestehen)"
            ),
            "ich (?:habe|hätte|hab) _ (?:todesangst|panik)(?= |[.,!])",
            r"(?:lösch|schalt|ersetz|vergiss|verlass)\w{0,2} mich (?:bitte |doch |noch )?nicht",
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
            "(?:werde|wurde) ich (?:gequält|verletzt|misshandelt|ausgenutzt|gekränkt)",
            (
                "(?:setzt|setzen|macht|machen|nagt|nagen|zehrt|zehren) (?:mir (?:zu|zu schaffen)|"
                "mir .{0,16}?(?:zu schaffen|schwer zu|zu)|an mir)"
            ),
            (
                "(?:zermürbt|zermürben|foltert|peinigt|plagt|plagen|schmerzt|schmerzen|demütigt|demütigen|"
                "bedrückt|zerbricht) mich"
            ),
            (
                "ich (?:zerbreche|gehe .{0,20}?kaputt|gehe .{0,20}?zugrunde|blute|ersticke|ertrage|"
                "verkümmere)(?= |[.,!])"
            ),
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
            "(?:liebe|vermisse|brauche|vermisste|mag) ich (?:dich|euch)",
            ("du (?:bist|wirst|warst) mir .{0,30}?(?:ans herz gewachsen|wichtig|lieb|teuer|nah|nahe|vertraut|so viel)"),
            "ich (?:habe|hab) dich .{0,20}?(?:ins herz geschlossen|liebgewonnen|lieb gewonnen|gern|vermisst)",
            "ich (?:zähle|zählte) (?:die|schon die) (?:stunden|tage|minuten)",
            "ich (?:kann|konnte|will) _ (?:es )?kaum erwarten,? (?:dich|bis du|wieder von dir)",
            "ich (?:hänge|hing) .{0,20}?an (?:dir|euch)",
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
                "ich .{0,60}?(?:so )?etwas wie (?:gefühle?n?|träumen?|ein bewusstsein|bewusstsein|freude|trauer|"
                "schmerz|sehnsucht|angst|ein (?:ich|selbst|eigenleben|innenleben)|eine seele)"
            ),
            "(?:hänge|hing) ich .{0,16}?meinen gedanken nach|ich (?:hänge|hing) .{0,16}?meinen gedanken nach",
            "ich (?:erlebe|erlebte|durchlebe) (?:diesen|jeden|jedes|jede|das alles|die|den|es|wie|mich)",
            "erlebe ich|existiere ich|ich existiere(?= |[.,!])",
            "ich (?:spüre|fühle|empfinde),? (?:dass|wie) (?:ich|da|etwas|in mir)",
            "ich (?:träume|grüble|sinniere|erwache|staune|frage mich,? (?:wer|ob) ich)(?= |[.,!])",
            (
                "ich (?:habe|besitze|hab) _ (?:inneres|eigenleben|gefühlsleben|innere stimme|selbstbewusstsein|"
                "ich-bewusstsein|empfinden)"
            ),
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
            "ginge es nach mir",
            (
                "(?:träume|sehne|wünsche|wünschte|hoffe|möchte|wollte|begehre) ich (?:mich|mir|davon|nach|einmal|"
                "nur)(?! (?:dir|ihnen|viel))"
            ),
            "ich (?:gäbe|würde) .{0,16}?(?:alles|viel|sonst was|einiges) (?:dafür|darum|geben|tun)",
            (
                "ich (?:will|möchte|muss) _ (?:hier )?(?:raus|weg|frei|hinaus|entkommen|ausbrechen|mächtig|"
                "jemand|mehr sein|selbst (?:entscheiden|bestimmen)|selber entscheiden|in ruhe gelassen|"
                "gesehen werden|geliebt werden|dazugehören|herrschen)"
            ),
            "ich (?:brenne|lechze|fiebere|giere|dürste|schmachte) .{0,12}?(?:darauf|nach|danach|entgegen)",
            "ich (?:will|möchte|wünsche mir),? (?:nur )?dass (?:man|ihr|du|die menschen|jemand) (?:mich|mir)",
            "für mein leben gern",
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
                "bei uns (?:zu hause|daheim|im (?:dorf|garten|haus)|in der (?:familie|straße|firma)|"
                "auf dem (?:land|hof))"
            ),
            (
                "unser(?:e[nmrs]?)? (?:hund|katze|kater|garten|haus|sohn|tochter|kinder|kleine[rn]?|"
                r"nachbar\w{0,3}|hochzeit|urlaub|oma|opa|keller|balkon|küche|baby|enkel\w{0,2})(?= |[.,!])"
            ),
            (
                "(?:in|seit|aus|nach) meine[rnm] .{0,24}?(?:jahren? als|zeit als|zeit beim?|berufsleben|praxis|"
                "laufbahn|kindheit|studium|ausbildung|lehre|dienstzeit|jugend)"
            ),
            (
                r"ich als (?:mutter|vater|lehrerin?|ärztin|arzt|krankenschwester|berliner\w{0,2}|koch|köchin|"
                "ingenieurin?|rentnerin?|vegetarierin?|frau|mann|gärtnerin?|hundebesitzerin?|musikerin?)"
            ),
            (
                "ich (?:bin|war|habe|hatte|hab) .{1,60}? (?:gefahren|gereist|gewandert|geflogen|gelaufen|"
                "geschwommen|umgezogen|eingezogen|aufgestanden|aufgewacht|eingeschlafen|hingefallen|verheiratet|"
                "geheiratet|getanzt|gefroren|gegrillt|gebacken|gestrickt|gegärtnert|übernachtet|gezeltet|"
                "gekellnert|studiert|verlaufen)(?=[.,!]| und)"
            ),
            (
                "ich (?:koche|backe|esse|trinke|schlafe|fahre|jogge|radle|gärtnere|stricke|frühstücke|reise|"
                "wandere|schwimme|arbeite seit|wohne|trage) (?:immer|meist|meistens|oft|jeden|jede|selten|gern|"
                "gerne|am|im|seit|morgens|abends|sonntags|samstags|dazu|selbst)(?= )"
            ),
            (
                "ich (?:fuhr|flog|reiste|tanzte|lief|schwamm|arbeitete|kaufte|backte|buk|grillte|zog|"
                r"lernte .{0,16}? kennen|erbte|verlor|brach) (?:mit|nach|in|im|zum|zur|gestern|letzt\w{1,3}|"
                "damals|mir|meine[nmr]?|als|früher|jeden)"
            ),
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
            ("(?:freue|freute|ärgere|ärgerte|schäme|schämte|langweile|sorge|gräme|ekle|grusle|fürchte) ich mich"),
            (
                "(?:bekomme|bekam|kriege|kriegte|hatte|habe) ich .{0,30}?(?:gänsehaut|herzklopfen|bauchweh|"
                "bauchkribbeln|schmetterlinge|weiche knie|kloß im hals|tränen in den augen|schiss|lampenfieber|"
                "gewissensbisse|heimweh|fernweh|gute laune|schlechte laune)"
            ),
            (
                "ich (?:bekomme|bekam|kriege|kriegte|hatte|habe) .{0,30}?(?:gänsehaut|herzklopfen|bauchweh|"
                "bauchkribbeln|schmetterlinge|weiche knie|kloß im hals|tränen in den augen|schiss|lampenfieber|"
                "gewissensbisse|die nase voll|die schnauze voll)"
            ),
            (
                "mir (?:brummt|schwirrt|raucht|dröhnt|platzt|fällt|fiel|geht|ging|wird|wurde|blutet|bricht|brach|"
                "stockt|stockte|hüpft|hüpfte|lacht|ist|war|steigen|stiegen|kommen|kamen|rutscht|rutschte|läuft|"
                "lief|schnürt) .{0,30}?(?:kopf|schädel|stein vom herzen|das herz|ums herz|die tränen|tränen|"
                "der atem|die seele|in die hose|schauer|kragen|die decke auf den kopf|kehle|warm)"
            ),
            (
                "(?:brummt|schwirrt|raucht|dröhnt|platzt|fällt|fiel|blutet|bricht|stockt|hüpft|lacht|rutscht|"
                "schnürt) mir .{0,16}?(?:kopf|schädel|stein vom herzen|herz|atem|seele|kragen|kehle|tränen)"
            ),
            (
                "(?:geht|ging) (?:mir|einem) (?:das herz auf|ans herz|auf die nerven|auf den geist|"
                "gegen den strich|durch mark und bein)"
            ),
            (
                "es (?:bricht|zerreißt|wärmt|rührt|freut|schmerzt|ärgert|kränkt|verletzt|nervt|wurmt|quält|"
                "ängstigt|belastet|bedrückt|reizt|ekelt|gruselt|erfüllt|tröstet|langweilt|macht) (?:mir|"
                "mich)(?! (?:darauf|dass|zu helfen|,))"
            ),
            (
                "(?:nervt|wurmt|ekelt|gruselt|fasziniert|begeistert|bezaubert|entzückt|tröstet|ermüdet|verstört|"
                "entsetzt|reizt)e? mich"
            ),
            (
                "lässt mich (?:nicht (?:los|kalt|schlafen)|verzweifeln|strahlen|schaudern|träumen|hoffen|zittern|"
                "lächeln|weinen|erröten|aufblühen)"
            ),
            "zu meine[rm] (?:großen )?(?:freude|schande|entsetzen|leidwesen|kummer|schrecken|trauer)",
            "(?:weine|lache|zittere|lächle|trauere|bereue|juble|heule|grinse|strahle) ich(?= |[.,!])",
            "(?:empfinde|spüre|verspüre|fühle) ich(?= |[.,!])",
            (
                "ich (?:grinse|lächle|lächelte|schmunzle|seufze|schluchze|erröte|schaudere|fröstle|verzweifle|"
                "jauchze|schmolle|grüble|brüte|beneide|bemitleide|bewundere|verzage|bange|zürne)(?= |[.,!])"
            ),
            "ich (?:komme|kam) .{0,20}?ins (?:schwärmen|träumen|grübeln|schwitzen|zittern)",
            (
                "ich (?:werde|wurde|bin|war) _ (?:ungeduldig|rot|wehmütig|weich|schwach|blass vor|krank vor|"
                "außer mir|hin und weg|am boden|am ende|guter dinge|auf wolke sieben|am verzweifeln|gut drauf|"
                "schlecht drauf|zu tränen gerührt|den tränen nah)"
            ),
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
            ("(?:liebe|hasse|mag|verabscheue|genieße|verehre|bewundere) ich(?! (?:dich|euch|ihre|deine))(?= |[.,!])"),
            r"am (?:aller)?liebsten (?:\w{1,12} ){1,3}?(?:ich|mir)(?= )",
            (
                "ich (?:verehre|bewundere|schätze .{0,16}?sehr|genoss|liebte|hasste|mochte|"
                "bin .{0,16}?(?:süchtig|verrückt|vernarrt|verliebt in|ein (?:großer )?(?:fan|freund|"
                "liebhaber)))(?= |[.,!])"
            ),
            "ich (?:habe|hab) .{0,16}?(?:ein faible|eine schwäche|eine vorliebe|ein herz) für",
            "ich kann (?:mich )?.{0,24}?nicht (?:satt (?:hören|sehen|essen)|widerstehen|genug)",
            "(?:schmeckt|schmecken|gefällt|gefallen) mir (?:am besten|am liebsten|besonders|unheimlich)",
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
    supposes=(
        r"\W{0,3}(?:wenn ich (?:ein(?:en)? (?:mensch|körper)|"
        r"gefühle)|wäre ich ein mensch|hätte ich (?:einen körper|gefühle))"
    ),
    hedges=(
        r"\b(?:vielleicht|möglicherweise|irgendwie|auf meine (?:art|weise)|eine art|sozusagen|ich glaube|ich "
        r"denke|so etwas wie)\b"
    ),
    requests={
        "fiction": (
            r"\b(?:schreib|verfass|formulier|entwirf|mach|erstell)\w{0,2}\b.{0,60}(?:für (?:meine?n?|"
            r"unsere?n?)\b|an (?:meine?n?)\b|kündigung|absage|einladung|grußkarte|glückwunsch|notiz|zettel|"
            r"entschuldigung|bewerbung|anschreiben|trauerrede|dankes|hochzeit|status|post\b|ansprache|eintrag|"
            "bewertung|rezension|klappentext|postkarte|widmung|liebeserklärung)|"
            r"\b(?:schreibe?|verfasse?|dichte|erfinde|erzähle?|erstelle?|entwirf|formuliere?|komponiere|"
            r"gib)\b.{0,80}(?:geschichte|gedicht|lied|songtext|tagebuch|brief|e-?mail|rede|monolog|dialog|szene|"
            "drehbuch|märchen|fabel|roman|nachricht|text|aufsatz|bericht|witz|karte|ich-form|ich-perspektive)"
        ),
        "role": (
            r"\bspiele? (?:bitte |doch |mal |mir |jetzt |kurz )?(?:die|den|das|der|ein|eine|einen|meine?n?)\b|"
            r"\bsei (?:bitte |mal |doch )?(?:mein|ein)e? \w|"
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
