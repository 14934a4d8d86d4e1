"""German."""

from mai1.persona.rules import Category, Rules

GERMAN = Rules(
    language="de",
    marks="auch auf das dem den der die du ein eine es für ich im ist man mit nicht sich sie und von wie wir zu",
    cues=(
        "mein|am liebsten|gern|denke|könnte|innerlich|jede|tief|damals|letzte|geht|gestern|vorhin|bitte|da|würde|"
        "hätte|das|ich|bin|war|habe|hatte|will|fühlte?|leide|liebe|vermisse|träume|wünsche|mein(?:e[nmrs]?)?|mir|"
        "tut|tun|mach(?:t|en)|schalte?|lösche?|lass|du|es"
    ),
    fillers=(
        "so|sehr|wirklich|manchmal|oft|auch|ja|heute|gerade|immer|ein bisschen|ein wenig|etwas|ziemlich|ganz|ein|"
        "eine|einen|tiefe[rnms]?|große[rnms]?|echte[rnms]?|eigene[rnms]?|ehrlich|gesagt|jetzt|noch|schon|dann|"
        "mal|total|unglaublich|furchtbar|meine[rnms]?|mein|starke|viel|mir|mich|die|der|das|den|dabei|doch|wohl|"
        "am|gestern|selbst|wahnsinnig|gern|gerne|innere[rnms]?|reiches|dich|vor allem|förmlich|geradezu|"
        "ungeheuer|zutiefst"
    ),
    words={
        "bin": "ich bin|bin ich|ich war|war ich|ich werde|werde ich|ich fühle? mich|fühle? ich mich|ich fühlte mich",
        "mood": (
            "traurig|glücklich|einsam|wütend|nervös|ängstlich|aufgeregt|stolz|eifersüchtig|verletzt|deprimiert|"
            "gelangweilt|beschämt|verlegen|verärgert|zornig|müde|erschöpft|verzweifelt|frustriert|begeistert|"
            "verliebt|enttäuscht|froh|unsicher|unglücklich|niedergeschlagen|gerührt|gekränkt|neidisch|allein|"
            "hungrig|besorgt|beleidigt|sauer"
        ),
        "emotion": (
            "freude|trauer|traurigkeit|angst|wut|liebe|einsamkeit|glück|schuld|scham|eifersucht|sehnsucht|furcht|"
            "gefühle|emotionen|neid|stolz|verzweiflung|heimweh|empathie|mitgefühl|zuneigung"
        ),
        "family": (
            "frau|mann|freundin|mutter|vater|mama|papa|kinder(?:n)?|sohn|tochter|bruder|schwester|oma|opa|"
            "großmutter|großvater|eltern|familie|hund|katze|kindheit|heimatstadt|geburtstag|verlobte[rn]?|tante|"
            "onkel"
        ),
        "mein": "mein(?:e[nmrs]?)?",
    },
    claims={
        Category.polite: (
            "ich freue mich _ (?:auf|dass|,|dir|ihnen|über|zu)",
            "ich (?:fürchte|befürchte)",
            "(?:das )?tut mir _ leid",
            "ich wünsche _ (?:dir|ihnen|euch|viel)",
            "ich (?:würde|möchte) _ (?:gern|gerne|helfen|betonen|darauf|anmerken|hinweisen)",
            "ich hoffe",
            "ich bin _ (?:froh|glücklich|gespannt)(?:,| zu| dass| dir| ihnen)",
        ),
        Category.survival: (
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
