//! What a request asks for that the price of a text token does not cover.

/// One such thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Feature {
    /// Audio in the prompt.
    AudioInput,
    /// Spoken answers.
    AudioOutput,
    /// Drawn answers.
    ImageOutput,
    /// Files (PDF and the like) in the prompt: the vendor decides how many tokens they are.
    FileInput,
    /// Video in the prompt.
    VideoInput,
    /// Searches, billed per call or per source.
    WebSearch,
    /// Tools that the vendor runs itself (code interpreter, file search, connectors, ...).
    HostedTool,
    /// A dearer service tier, or one that we do not know.
    PriorityTier,
    /// A service tier that is slower and not dearer.
    FlexTier,
    /// Predicted output: what the answer does not use is billed as output beyond the output cap.
    Prediction,
    /// Plug-ins of a reseller, billed per use.
    Plugins,
    /// A list of further models that a reseller may answer with, at their prices and past the key's grants.
    OtherModels,
    /// An output cap under a name that some servers obey in place of OpenAI's (llama.cpp's `n_predict`, ...): what the
    /// gateway sets would not hold.
    OtherCap,
    /// Prompts that the vendor keeps in its cache for an hour: dearer to write than those kept for minutes.
    HourCache,
    /// A faster, dearer mode of the same model.
    FastMode,
    /// A region chosen for the call, which may cost more.
    Region,
    /// A conversation that the vendor keeps: the prompt is longer than the request shows.
    StoredContext,
    /// The vendor may rewrite the conversation with further calls of the model.
    Compaction,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::AudioInput,
        Self::AudioOutput,
        Self::ImageOutput,
        Self::FileInput,
        Self::VideoInput,
        Self::WebSearch,
        Self::HostedTool,
        Self::PriorityTier,
        Self::FlexTier,
        Self::Prediction,
        Self::Plugins,
        Self::OtherModels,
        Self::OtherCap,
        Self::HourCache,
        Self::FastMode,
        Self::Region,
        Self::StoredContext,
        Self::Compaction,
    ];

    /// The request's field that asks for it, for error messages.
    #[must_use]
    pub fn param(self) -> &'static str {
        match self {
            Self::AudioInput | Self::FileInput | Self::VideoInput => "messages",
            Self::AudioOutput | Self::ImageOutput => "modalities",
            Self::WebSearch => "web_search_options",
            Self::HostedTool => "tools",
            Self::PriorityTier | Self::FlexTier => "service_tier",
            Self::Prediction => "prediction",
            Self::Plugins => "plugins",
            Self::OtherModels => "models",
            Self::OtherCap => "n_predict",
            Self::HourCache => "cache_control",
            Self::FastMode => "speed",
            Self::Region => "inference_geo",
            Self::StoredContext => "thread",
            Self::Compaction => "context_management",
        }
    }

    /// In words, for error messages: `audio input`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AudioInput => "audio input",
            Self::AudioOutput => "audio output",
            Self::ImageOutput => "image output",
            Self::FileInput => "file input",
            Self::VideoInput => "video input",
            Self::WebSearch => "web search",
            Self::HostedTool => "hosted tools",
            Self::PriorityTier => "a dearer service tier",
            Self::FlexTier => "the flex service tier",
            Self::Prediction => "predicted output",
            Self::Plugins => "plug-ins",
            Self::OtherModels => "a list of alternative models",
            Self::OtherCap => "an output cap by another name",
            Self::HourCache => "a cache kept for an hour",
            Self::FastMode => "the fast mode",
            Self::Region => "a chosen region",
            Self::StoredContext => "a conversation kept by the vendor",
            Self::Compaction => "compaction of the conversation",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// A set of features.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Features(u32);

impl Features {
    /// Adds one.
    pub fn insert(&mut self, feature: Feature) {
        self.0 |= feature.bit();
    }

    /// True when it is in.
    #[must_use]
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// True when nothing is in: token prices say all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(move |feature| self.contains(*feature))
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        let mut set = Self::default();
        features.into_iter().for_each(|feature| set.insert(feature));
        set
    }
}
